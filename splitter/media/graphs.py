"""FFmpeg's filter graphs, as the splitter uses them: one thread, one frame in, one frame out."""

from __future__ import annotations

from dataclasses import dataclass

import av
import av.error
import av.filter
from av.video.reformatter import ColorRange

_UNSPECIFIED = 2


def new_graph() -> av.filter.Graph:
    """Return an empty graph that runs on the caller's thread."""
    graph = av.filter.Graph()
    graph.threads = 1
    return graph


@dataclass(frozen=True, slots=True)
class Tags:
    """What a filter must not change about a frame."""

    pts: int | None
    duration: int
    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Tags:
        """Note a frame's tags."""
        return cls(
            frame.pts,
            frame.duration,
            frame.colorspace,
            frame.color_range,
            frame.color_primaries,
            frame.color_trc,
        )

    @staticmethod
    def take_off(frame: av.VideoFrame) -> None:
        """Take away what a filter would be confused by that was not told of it."""
        frame.colorspace, frame.color_range = _UNSPECIFIED, ColorRange.UNSPECIFIED

    def put_on(self, frame: av.VideoFrame) -> None:
        """Tag a frame so."""
        frame.pts, frame.duration = self.pts, self.duration
        frame.colorspace, frame.color_range = self.colorspace, self.color_range
        frame.color_primaries, frame.color_trc = self.color_primaries, self.color_trc


class Copier:
    """Copies frames, so that what they were decoded into is free again at once.

    Where a damaged picture ends, some decoders leave in a frame what was in its memory before. That
    is the same on every try if nobody holds decoded frames for longer on one than on another.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._format: tuple[int, int, str] | None = None

    def copy(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame with the same pixels, tags and side data."""
        format_ = (frame.width, frame.height, frame.format.name)
        tags = Tags.of(frame)
        try:
            if self._graph is None or format_ != self._format:
                self._graph, self._format = _copying(*format_), format_
            Tags.take_off(frame)
            self._graph.vpush(frame)
            copied = self._graph.vpull()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            # A kind of pictures that no filter takes is refused by whoever converts them.
            copied = frame
        tags.put_on(copied)
        return copied


def _copying(width: int, height: int, pixel_format: str) -> av.filter.Graph:
    graph = new_graph()
    source = f"video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1/1"
    nodes = (graph.add("buffer", source), graph.add("copy"), graph.add("buffersink"))
    graph.link_nodes(*nodes).configure(auto_buffer=False)
    return graph


class FilterChain:
    """Filters in a row that give one frame for one frame at once."""

    def __init__(
        self, size: tuple[int, int], pixel_format: str, filters: list[tuple[str, str]]
    ) -> None:
        self._graph: av.filter.Graph | None = None
        if filters:
            self._graph = graph = new_graph()
            source = f"video_size={size[0]}x{size[1]}:pix_fmt={pixel_format}:time_base=1/1"
            nodes = [graph.add("buffer", source), *(graph.add(*one) for one in filters)]
            graph.link_nodes(*nodes, graph.add("buffersink")).configure(auto_buffer=False)

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Filter a frame; its tags of matrix and range are lost."""
        if self._graph is None:
            return frame
        # The filters were told what the pixels mean; tags that disagree would only confuse them.
        Tags.take_off(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()
