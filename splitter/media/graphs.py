"""FFmpeg's filter graphs, as the splitter uses them: one thread, one frame in, one frame out."""

from __future__ import annotations

import av
import av.filter
from av.video.reformatter import ColorRange

_UNSPECIFIED = 2


def new_graph() -> av.filter.Graph:
    """Return an empty graph that runs on the caller's thread."""
    graph = av.filter.Graph()
    graph.threads = 1
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
        frame.colorspace = _UNSPECIFIED
        frame.color_range = ColorRange.UNSPECIFIED
        self._graph.vpush(frame)
        return self._graph.vpull()
