"""The stages of a split, in turn on one thread or concurrently on several.

Reading and cutting are sequential by nature, since each frame builds on those before it. Chunks are
independent, so they can be encoded concurrently. All threads are alike and take whatever is to be
done next, so none is idle while there is something to do.

The result is the same as on one thread: each stage sees the same frames in the same order, each
chunk is encoded by one encoder that runs on one thread at a time, chunks are yielded in order, and
an error is raised after all chunks that were complete before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import wait
from threading import Condition, Lock
from typing import Final

import av

from splitter.media.chunking import ChunkFile, Close, EncodedChunk, Step, Write
from splitter.media.crew import Crew
from splitter.media.cutting import Cutter

_FRAMES_A_THREAD: Final = 2
"""With fewer frames in flight per thread, reading has priority, since everything else waits for it.
It also bounds the frames that wait to be cut."""

_BATCH_PIXELS: Final = 2_000_000
"""One thread encodes frames of about so many pixels in a row: one by one, in turn with decoding,
the decoder and the encoder would evict each other from the processor's caches."""


def encoded(
    frames: Iterator[av.VideoFrame], cutter: Cutter, crew: Crew, in_flight_bytes: int
) -> Iterator[EncodedChunk]:
    """Yield the chunks of ``frames``, encoded, in order.

    At most ``in_flight_bytes`` of frames, or one larger frame, and a few more chunks than there are
    threads wait between the threads. One thread alone takes a few frames at once through a stage.
    """
    if crew.size > 1:
        yield from _Pipeline(frames, cutter, crew, in_flight_bytes).run()
        return
    for steps in _batches(_steps(frames, cutter)):
        for step in steps:
            if (chunk := step.do()) is not None:
                yield chunk


def _batches(steps: Iterator[Step]) -> Iterator[list[Step]]:
    """Yield steps in batches; one ends with each chunk, so that no chunk waits for the next."""
    batch: list[Step] = []
    pixels = 0
    for step in steps:
        batch.append(step)
        if isinstance(step, Write):
            pixels += step.frame.width * step.frame.height
        if pixels >= _BATCH_PIXELS or isinstance(step, Close):
            yield batch
            batch, pixels = [], 0
    yield batch


def _steps(frames: Iterator[av.VideoFrame], cutter: Cutter) -> Iterator[Step]:
    for frame in frames:
        yield from cutter.take(frame)
    yield from cutter.finish()


class _Stage:
    """Something that one thread at a time can work on."""

    def __init__(self) -> None:
        self.busy = False
        self.is_over = False


class _Draft(_Stage):
    """A chunk that is being encoded."""

    def __init__(self, file: ChunkFile) -> None:
        super().__init__()
        self.file = file
        self.steps: deque[Step] = deque()
        self.chunk: EncodedChunk | None = None
        self.error: Exception | None = None


class _Pipeline:
    """One split on several threads. Shared state is read and changed under one lock."""

    def __init__(
        self,
        frames: Iterator[av.VideoFrame],
        cutter: Cutter,
        crew: Crew,
        in_flight_bytes: int,
    ) -> None:
        self._frames = frames
        self._cutter = cutter
        self._crew = crew
        self._most_bytes = in_flight_bytes
        self._few = _FRAMES_A_THREAD * crew.size
        lock = Lock()
        self._work_is_there = Condition(lock)
        self._chunk_is_there = Condition(lock)
        self._lock = lock
        self._reading = _Stage()
        self._cutting = _Stage()
        self._uncut: deque[av.VideoFrame] = deque()
        self._drafts: deque[_Draft] = deque()
        """Chunks that were begun and not yet yielded, in order."""
        self._flying = 0
        self._flying_bytes = 0
        self._error: Exception | None = None
        """The error that ended reading or cutting."""
        self._has_delivered = False
        self._stopping = False

    def run(self) -> Iterator[EncodedChunk]:
        working = self._crew.submit_to_all(self._work)
        try:
            while (chunk := self._next_chunk()) is not None:
                yield chunk
        finally:
            with self._lock:
                self._stopping = True
                self._work_is_there.notify_all()
            wait(working)

    def _next_chunk(self) -> EncodedChunk | None:
        with self._lock:
            while True:
                first = self._drafts[0] if self._drafts else None
                if first is not None and first.error is not None:
                    raise first.error
                if first is not None and first.chunk is not None:
                    self._drafts.popleft()
                    self._has_delivered = True
                    self._work_is_there.notify()
                    return first.chunk
                if self._cutting.is_over and (first is None or not (first.busy or first.steps)):
                    if self._error is not None:
                        raise self._error
                    return None
                self._chunk_is_there.wait()

    def _work(self) -> None:
        while (stage := self._take()) is not None:
            if isinstance(stage, _Draft):
                self._encode_one(stage)
            elif stage is self._cutting:
                self._cut_one()
            else:
                self._read_one()
            with self._lock:
                stage.busy = False
                # Once all is cut, any step may be the last one of a chunk that was not finished.
                if stage.is_over or self._cutting.is_over:
                    self._chunk_is_there.notify()

    def _take(self) -> _Stage | None:
        """Wait for a stage that can go on, and mark it as busy."""
        with self._lock:
            while not self._stopping:
                if (stage := self._next_stage()) is not None:
                    stage.busy = True
                    # The thread that takes work wakes the next one if there is more to do.
                    if self._next_stage() is not None:
                        self._work_is_there.notify()
                    return stage
                self._work_is_there.wait()
        return None

    def _next_stage(self) -> _Stage | None:
        can_read = self._can_read()
        if can_read and self._flying < self._few:
            return self._reading
        if self._can_cut():
            return self._cutting
        for draft in self._drafts:
            if draft.steps and not draft.busy:
                return draft
        return self._reading if can_read else None

    def _can_read(self) -> bool:
        if self._reading.busy or self._reading.is_over:
            return False
        if self._flying >= self._few and not self._has_delivered:
            return False  # A video's first chunk must not wait for work on later ones.
        # A frame larger than the limit is allowed, but nothing else is read beside it.
        has_room = self._flying_bytes < self._most_bytes or not self._flying
        # If there are more chunks than threads, the first one is complete and need only be taken.
        return has_room and len(self._drafts) <= self._crew.size and len(self._uncut) < self._few

    def _can_cut(self) -> bool:
        if self._cutting.busy or self._cutting.is_over:
            return False
        return bool(self._uncut) or (self._reading.is_over and not self._reading.busy)

    def _read_one(self) -> None:
        frame, error = None, None
        try:
            frame = next(self._frames, None)
        except Exception as caught:
            error = caught
        with self._lock:
            if frame is not None:
                self._uncut.append(frame)
                self._count(frame, 1)
            else:
                # A picture that could not be cut comes before the end or the error found here.
                self._error = self._error or error
                self._reading.is_over = True

    def _cut_one(self) -> None:
        with self._lock:
            frame = self._uncut.popleft() if self._uncut else None
            failed = self._error is not None
        try:
            if frame is not None:
                for step in self._cutter.take(frame):
                    self._hand_out(step)
            elif not failed:
                for step in self._cutter.finish():
                    self._hand_out(step)
        except Exception as error:
            with self._lock:
                self._error = error
                self._reading.is_over = self._cutting.is_over = True
        with self._lock:
            if frame is None:
                self._cutting.is_over = True
            else:
                self._count(frame, -1)

    def _hand_out(self, step: Step) -> None:
        with self._lock:
            if not self._drafts or self._drafts[-1].file is not step.file:
                self._drafts.append(_Draft(step.file))
            self._drafts[-1].steps.append(step)
            if isinstance(step, Write):
                self._count(step.frame, 1)
            self._work_is_there.notify()

    def _encode_one(self, draft: _Draft) -> None:
        with self._lock:
            step = draft.steps.popleft()
        try:
            if draft.error is None:
                draft.chunk = step.do()
        except Exception as error:
            draft.error = error
        with self._lock:
            draft.is_over = draft.chunk is not None or draft.error is not None
            if isinstance(step, Write):
                self._count(step.frame, -1)

    def _count(self, frame: av.VideoFrame, by: int) -> None:
        self._flying += by
        self._flying_bytes += by * sum(plane.buffer_size for plane in frame.planes)
