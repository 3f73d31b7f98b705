"""Cut a stream of normalised frames into chunks, each a file of its own.

Where a chunk begins and ends is decided here, frame by frame. The encoding work is handed out as
steps, which may be done elsewhere: those of one file in order, those of different files
concurrently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeVar

import av

from shared.contracts.manifest import NO_BARS, Bars, Chunk, GridShift, Place, Source, pts_digest
from shared.media.chunks import ChunkWriter
from shared.media.encodings import MEZZANINE
from splitter.media.bars import may_have_bars, still_black
from splitter.media.camera import Camera, Sight, look
from splitter.media.grid import Grid

_SIGHTS: Final = 32
"""The camera is followed over up to this many frames at once."""


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk and its file."""

    chunk: Chunk
    data: bytes


class ChunkFile:
    """The file of one chunk while it is encoded; used by one thread at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._writer: ChunkWriter | None = None

    def write(self, frame: av.VideoFrame) -> None:
        """Encode the next frame."""
        if self._writer is None:
            self._writer = ChunkWriter(
                MEZZANINE,
                width=self._source.width,
                height=self._source.height,
                time_base=self._source.time_base,
                sample_aspect_ratio=self._source.sample_aspect_ratio,
            )
        self._writer.write(frame)

    def close(self, chunk: Chunk) -> EncodedChunk:
        """Finish the file, whose frames make ``chunk``."""
        assert self._writer is not None
        return EncodedChunk(chunk, self._writer.close(chunk.duration))


@dataclass(frozen=True, slots=True)
class Write:
    """The step that encodes one frame."""

    file: ChunkFile
    frame: av.VideoFrame

    def do(self) -> None:
        """Encode it."""
        self.file.write(self.frame)


@dataclass(frozen=True, slots=True)
class Close:
    """The last step of a file."""

    file: ChunkFile
    chunk: Chunk

    def do(self) -> EncodedChunk:
        """Return the finished chunk."""
        return self.file.close(self.chunk)


Step = Write | Close


class ChunkBuilder:
    """Gathers frames into chunks; the frame after a chunk determines when the chunk ends.

    The first chunk has ``first_frames`` frames and each further one twice as many as the one
    before, up to ``most_frames``. Pictures will be painted at ``scale``. ``find_bars`` is called at
    most once, at the first chunk whose first frame may have black bars.
    """

    def __init__(
        self,
        source: Source,
        *,
        first_frames: int,
        most_frames: int,
        scale: Fraction,
        find_bars: Callable[[], Bars],
    ) -> None:
        self._find_bars: Callable[[], Bars] | None = find_bars
        self._video_bars = NO_BARS
        self._bars = NO_BARS
        self._source = source
        self._most = most_frames
        self._file: ChunkFile | None = None
        self._wanted = min(first_frames, most_frames)
        self._camera = Camera()
        self._grid = Grid(scale)
        self._pts: list[int] = []
        self._sights: list[Sight] = []
        self._places: list[Place] = []
        self._shifts: list[GridShift] = []
        self._frames = 0
        self._count = 0

    def add(self, frame: av.VideoFrame, pts: int) -> Iterator[Step]:
        """Take over the frame that is shown at ``pts``; yield the steps that it leads to."""
        if self._file is not None and len(self._pts) == self._wanted:
            yield self._close(self._file, pts)
            self._wanted = min(2 * self._wanted, self._most)
        if self._file is None:
            self._file = ChunkFile(self._source)
            if self._find_bars is not None and may_have_bars(frame):
                self._video_bars = self._find_bars()
                self._find_bars = None
            self._bars = self._video_bars
        if self._bars != NO_BARS:
            self._bars = still_black(frame, self._bars)
        self._pts.append(pts)
        self._sights.append(look(frame, self._video_bars))
        if len(self._sights) == _SIGHTS:
            self._follow()
        frame.pts = pts - self._pts[0]
        yield Write(self._file, frame)

    def finish(self, end: int) -> Iterator[Step]:
        """Yield the steps that end the last chunk, whose last frame is shown until ``end``."""
        if self._file is not None:
            yield self._close(self._file, end)

    def _follow(self) -> None:
        for sight in self._sights:
            place = self._camera.follow(sight)
            self._places.append(place)
            self._shifts.append(self._grid.follow(place, cut=self._camera.cut))
        self._sights.clear()

    def _close(self, file: ChunkFile, end: int) -> Close:
        self._follow()
        chunk = Chunk(
            index=self._count,
            first_frame=self._frames,
            frames=len(self._pts),
            first_pts=self._pts[0],
            duration=end - self._pts[0],
            pts_digest=pts_digest(self._pts),
            bars=self._bars,
            canvas=_while_moving(self._places),
            grid=_while_moving(self._shifts),
        )
        self._count += 1
        self._frames += len(self._pts)
        self._file = None
        self._pts = []
        self._places = []
        self._shifts = []
        return Close(file, chunk)


_Way = TypeVar("_Way", Place, GridShift)


def _while_moving(places: list[_Way]) -> tuple[_Way, ...]:
    """Return the places up to their last change; none if all are 0, 0."""
    last = len(places)
    while last > 1 and places[last - 1] == places[last - 2]:
        last -= 1
    return () if places[:last] == [(0, 0)] else tuple(places[:last])
