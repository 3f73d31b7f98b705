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


def new_chain(
    size: tuple[int, int], pixel_format: str, *filters: tuple[str, str], tick: str = "1/1"
) -> av.filter.Graph:
    """Return a graph of ``filters``, name and arguments, for frames of one size and format."""
    graph = new_graph()
    source = f"video_size={size[0]}x{size[1]}:pix_fmt={pixel_format}:time_base={tick}"
    nodes = [graph.add("buffer", source), *(graph.add(*one) for one in filters)]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure(auto_buffer=False)
    return graph


@dataclass(frozen=True, slots=True)
class Tags:
    """The properties of a frame that a filter must not change."""

    pts: int | None
    duration: int
    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Tags:
        """Return a frame's tags."""
        return cls(
            frame.pts,
            frame.duration,
            frame.colorspace,
            frame.color_range,
            frame.color_primaries,
            frame.color_trc,
        )

    @staticmethod
    def clear(frame: av.VideoFrame) -> None:
        """Remove the tags that would confuse a filter that is not configured for them."""
        frame.colorspace, frame.color_range = _UNSPECIFIED, ColorRange.UNSPECIFIED

    def apply(self, frame: av.VideoFrame) -> None:
        """Apply these tags to a frame."""
        frame.pts, frame.duration = self.pts, self.duration
        frame.colorspace, frame.color_range = self.colorspace, self.color_range
        frame.color_primaries, frame.color_trc = self.color_primaries, self.color_trc


class Copier:
    """Copies frames, so that the decoder's buffers are free again at once.

    Behind the end of a damaged picture, some decoders leave in a frame what its buffer held before.
    That is reproducible only if decoded frames are not held longer in one run than in another.
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
                self._graph = new_chain(format_[:2], format_[2], ("copy", ""))
                self._format = format_
            Tags.clear(frame)
            self._graph.vpush(frame)
            copied = self._graph.vpull()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            # Pixel formats that no filter accepts are refused later, when they are converted.
            copied = frame
        tags.apply(copied)
        return copied


class FilterChain:
    """A chain of filters for ``yuv420p`` that returns one frame for each frame, immediately."""

    def __init__(self, size: tuple[int, int], filters: list[tuple[str, str]]) -> None:
        self._graph = new_chain(size, "yuv420p", *filters) if filters else None

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Filter a frame; its matrix and range tags are lost."""
        if self._graph is None:
            return frame
        # The filters are configured for what the pixels mean; conflicting tags would confuse them.
        Tags.clear(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()
