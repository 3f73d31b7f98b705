"""Completeness of one job: which chunks are there, and which are missing. Pure, no I/O.

Segments that GPUs encoded can be joined to those of the same word alone, those of the processor to
each other. As soon as a job has heard of two kinds, what GPUs encoded is missing until the
processor's has come in its place: the processor's is the one kind that every stylizer can make.
"""

from __future__ import annotations

from shared.contracts.errors import ResultError
from shared.contracts.manifest import Manifest


class Completeness:
    """Collects the announced segments of one job and holds them against the sealed manifest.

    Announcements may come twice, in any order, and before the manifest. A job is complete when the
    manifest is sealed and each of its chunks was announced with exactly its frame count,
    in a segment that can be joined to the others.
    """

    def __init__(self) -> None:
        self._announced: dict[int, int] = {}
        self._encoders: set[str] = set()
        self._on_gpu: set[int] = set()
        """The chunks whose segments the processor did not encode."""
        self._frames = 0
        self._promised: dict[int, int] | None = None

    @property
    def chunks(self) -> int:
        """Count the distinct chunks announced."""
        return len(self._announced)

    @property
    def frames(self) -> int:
        """Count the frames of the chunks announced."""
        return self._frames

    @property
    def complete(self) -> bool:
        """Whether every chunk of the sealed manifest is there."""
        if self._promised is None or len(self._announced) < len(self._promised):
            return False
        return not (self.mixed and self._on_gpu)

    @property
    def mixed(self) -> bool:
        """Whether segments were announced that cannot be joined to each other."""
        return len(self._encoders) > 1

    def has(self, chunk: int) -> bool:
        """Whether a chunk was announced, in a segment that fits as far as is known."""
        return chunk in self._announced and not (self.mixed and chunk in self._on_gpu)

    def missing(self) -> list[int]:
        """List the chunks of the sealed manifest that have no segment yet that fits, in order."""
        fit = self._announced.keys() - (self._on_gpu if self.mixed else set())
        return sorted((self._promised or {}).keys() - fit)

    def announce(self, chunk: int, frames: int, encoder: str = "") -> None:
        """Note a segment, and what encoded it; see `SegmentReady.encoder`.

        Raises:
            ResultError: it contradicts an earlier announcement or the manifest.
        """
        if chunk not in self._announced:
            self._announced[chunk] = frames
            self._frames += frames
            if encoder:
                self._on_gpu.add(chunk)
        if not encoder:
            # The processor's replaces a GPU's, and is never replaced.
            self._on_gpu.discard(chunk)
        self._encoders.add(encoder)
        self._check(chunk, frames)

    def _check(self, chunk: int, frames: int) -> None:
        if (before := self._announced[chunk]) != frames:
            raise _contradiction(chunk, frames, before)
        if self._promised is not None and self._promised.get(chunk) != frames:
            raise _contradiction(chunk, frames, self._promised.get(chunk))

    def seal(self, manifest: Manifest) -> None:
        """Learn what the whole set is.

        Raises:
            ResultError: a segment announced before contradicts the manifest.
        """
        self._promised = {chunk.index: chunk.frames for chunk in manifest.chunks}
        for chunk, frames in self._announced.items():
            self._check(chunk, frames)


def _contradiction(chunk: int, announced: int, promised: int | None) -> ResultError:
    return ResultError(
        "CONTRADICTING_SEGMENTS",
        f"chunk {chunk} was announced with {announced} frames instead of "
        f"{promised if promised is not None else 'not at all'}",
    )
