"""Deinterlace frames, one for one.

An interlaced frame holds two moments in its odd and even lines. Each is turned into one progressive
frame at the time of its first moment, so the number of frames and their times stay as they are.
Progressive frames among them pass unchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import av
import av.error
import av.filter

from splitter.media.graphs import Tags, new_chain

_DEINTERLACE: Final = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")


class Deinterlacer:
    """Passes frames through until the first interlaced one, then works on three at a time."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._format: tuple[int, int, str] | None = None
        self._held: deque[Tags] = deque()
        self._count = 0
        self._wanted = False

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Take one frame and yield what is ready, in order."""
        self._wanted |= frame.interlaced_frame
        if not self._wanted:
            yield frame
            return
        format_ = (frame.width, frame.height, frame.format.name)
        if format_ != self._format:
            yield from self.flush()
            self._graph = new_chain(format_[:2], format_[2], _DEINTERLACE, tick="1/1000")
            self._format = format_
        assert self._graph is not None
        self._held.append(Tags.of(frame))
        # A source may lack timestamps or repeat them: the filter gets its own.
        self._count += 1
        frame.pts = self._count
        Tags.clear(frame)
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield the frame that was waiting for the one after it."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph = self._format = None

    def _ready(self) -> Iterator[av.VideoFrame]:
        assert self._graph is not None
        while self._held:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._held.popleft().apply(frame)
            yield frame
