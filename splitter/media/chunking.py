"""Cuts a stream of normalised frames into chunks, each a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av

from shared.contracts.manifest import NO_BARS, Bars, Chunk, Place, Source, pts_digest
from shared.media.chunks import ChunkWriter
from shared.media.encodings import Encoding
from splitter.media.bars import may_have_bars, still_black
from splitter.media.camera import Camera


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk and its file."""

    chunk: Chunk
    data: bytes


class ChunkBuilder:
    """Gathers frames into chunks; a chunk ends when the frame after it says when.

    The first chunk has ``first_frames``, each further one twice as many as the one before, up to
    ``most_frames``. ``find_bars`` is asked once, by the first frame that may have black bars.
    """

    def __init__(
        self,
        source: Source,
        encoding: Encoding,
        *,
        first_frames: int,
        most_frames: int,
        find_bars: Callable[[], Bars],
    ) -> None:
        self._find_bars: Callable[[], Bars] | None = find_bars
        self._video_bars = NO_BARS
        self._bars = NO_BARS
        self._source = source
        self._encoding = encoding
        self._most = most_frames
        self._writer: ChunkWriter | None = None
        self._wanted = min(first_frames, most_frames)
        self._camera = Camera()
        self._pts: list[int] = []
        self._places: list[Place] = []
        self._frames = 0
        self.count = 0

    def add(self, frame: av.VideoFrame, pts: int) -> Iterator[EncodedChunk]:
        """Take the frame that is shown at ``pts``; yield the chunk that it ends, if it does."""
        if len(self._pts) == self._wanted:
            yield self._close(pts)
            self._wanted = min(2 * self._wanted, self._most)
        if self._writer is None:
            self._writer = ChunkWriter(
                self._encoding,
                width=self._source.width,
                height=self._source.height,
                time_base=self._source.time_base,
                sample_aspect_ratio=self._source.sample_aspect_ratio,
            )
            if self._find_bars is not None and may_have_bars(frame):
                self._video_bars = self._find_bars()
                self._find_bars = None
            self._bars = self._video_bars
        if self._bars != NO_BARS:
            self._bars = still_black(frame, self._bars)
        self._pts.append(pts)
        self._places.append(self._camera.follow(frame, self._video_bars))
        frame.pts = pts - self._pts[0]
        self._writer.write(frame)

    def finish(self, end: int) -> Iterator[EncodedChunk]:
        """Yield the last chunk, whose last frame is shown until ``end``."""
        if self._writer is not None:
            yield self._close(end)

    def _close(self, end: int) -> EncodedChunk:
        assert self._writer is not None
        duration = end - self._pts[0]
        chunk = Chunk(
            index=self.count,
            first_frame=self._frames,
            frames=len(self._pts),
            first_pts=self._pts[0],
            duration=duration,
            pts_digest=pts_digest(self._pts),
            bars=self._bars,
            canvas=_while_moving(self._places),
        )
        data = self._writer.close(duration)
        self.count += 1
        self._frames += len(self._pts)
        self._writer = None
        self._pts = []
        self._places = []
        return EncodedChunk(chunk, data)


def _while_moving(places: list[Place]) -> tuple[Place, ...]:
    """Return the places as far as they change; none where all are at 0, 0."""
    last = len(places)
    while last > 1 and places[last - 1] == places[last - 2]:
        last -= 1
    return () if places[:last] == [Place(0, 0)] else tuple(places[:last])
