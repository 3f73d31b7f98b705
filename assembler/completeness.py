"""Completeness of one job: which chunks are there, and which are missing. Pure, no I/O.

A segment that does not go with the others, see `assembler.agreement`, counts as missing until it
is replaced.
"""

from __future__ import annotations

from assembler.agreement import Agreement, Provenance
from shared.contracts.errors import ResultError
from shared.contracts.manifest import Manifest


class Completeness:
    """Collects the announced segments of one job and compares them with the sealed manifest.

    Announcements may come twice, in any order, and before the manifest. A job is complete when the
    manifest is sealed and each of its chunks was announced with exactly its frame count, in a
    segment that goes with the others.
    """

    def __init__(self) -> None:
        self.agreement = Agreement()
        self._announced: dict[int, int] = {}
        self._frames = 0
        self._promised: dict[int, int] | None = None

    @property
    def chunks(self) -> int:
        """The number of distinct chunks announced."""
        return len(self._announced)

    @property
    def frames(self) -> int:
        """The number of frames in the chunks announced."""
        return self._frames

    @property
    def complete(self) -> bool:
        """Whether every chunk of the sealed manifest is there."""
        if self._promised is None or len(self._announced) < len(self._promised):
            return False
        return self.agreement.reached

    def knows(self, chunk: int) -> bool:
        """Return whether a chunk was announced, in whatever segment."""
        return chunk in self._announced

    def has(self, chunk: int) -> bool:
        """Return whether a chunk was announced, in a segment that fits as far as is known."""
        return self.agreement.has(chunk)

    def missing(self) -> list[int]:
        """List the chunks of the sealed manifest that still lack a segment that fits, in order."""
        usable = self._announced.keys() - self.agreement.to_repaint()
        return sorted((self._promised or {}).keys() - usable)

    def announce(self, chunk: int, frames: int, provenance: Provenance) -> bool:
        """Note a segment, and how it was made; return whether it is the one that is stored now.

        Raises:
            ResultError: the segment contradicts an earlier announcement or the manifest.
        """
        if chunk not in self._announced:
            self._announced[chunk] = frames
            self._frames += frames
        self._check(chunk, frames)
        return self.agreement.note(chunk, provenance)

    def _check(self, chunk: int, frames: int) -> None:
        if (before := self._announced[chunk]) != frames:
            raise _contradiction(chunk, frames, before)
        if self._promised is not None and self._promised.get(chunk) != frames:
            raise _contradiction(chunk, frames, self._promised.get(chunk))

    def seal(self, manifest: Manifest) -> None:
        """Take the complete list of chunks from the manifest.

        Raises:
            ResultError: a segment that was announced before contradicts the manifest.
        """
        self._promised = {chunk.index: chunk.frames for chunk in manifest.chunks}
        for chunk, frames in self._announced.items():
            self._check(chunk, frames)


def _contradiction(chunk: int, announced: int, promised: int | None) -> ResultError:
    return ResultError(
        "CONTRADICTING_SEGMENTS",
        f"chunk {chunk} was announced with {announced} frames, but the manifest lists "
        f"{promised if promised is not None else 'no such chunk'}",
    )
