"""Decides which segments of a job go together. Pure, no I/O.

A result is painted by one version of its style throughout, and its segments can be joined. Segments
encoded on GPUs can only be joined to those with the same encoder mark, segments encoded on the
processor to each other. If a job has two kinds, one of them has to be painted anew:

- Of two encoders, the GPUs': every stylizer can make the processor's segments.
- Of several versions, all but the one that was announced last, either for a new chunk or as the
  first segment of its version: while stylizers are updated one after another, the new version is
  the one that stays. Duplicates, and later segments of a chunk that was sent again, decide nothing,
  so that the choice does not flip back and forth.

A version that stylizers no longer have, because they were rolled back, can be given up.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Provenance(NamedTuple):
    """How a segment was made: see `SegmentReady`."""

    styles: str = ""
    """Digest of the networks; empty if unknown: the segment then counts as of any version."""
    encoder: str = ""
    """Mark of the encoder; empty if the processor encoded it."""


class Agreement:
    """How a job's segments were made, as far as is known, and which of them must be replaced."""

    def __init__(self) -> None:
        self._provenances: dict[int, Provenance] = {}
        """By chunk: how its stored segment was made."""
        self._distinct: dict[Provenance, Provenance] = {}
        """All provenances seen: thousands of chunks share a few."""
        self._counts: Counter[Provenance] = Counter()
        self._versions: dict[str, None] = {}
        """All versions seen, the wanted one last."""
        self._given_up: set[str] = set()

    @property
    def version(self) -> str:
        """The version that all segments should have; empty if any will do."""
        return next((v for v in reversed(self._versions) if v not in self._given_up), "")

    @property
    def mixed(self) -> bool:
        """Whether there are segments that cannot be joined to each other."""
        return len({provenance.encoder for provenance in self._counts}) > 1

    @property
    def reached(self) -> bool:
        """Whether all segments go together."""
        return all(self._fits(provenance) for provenance in self._counts)

    def note(self, chunk: int, provenance: Provenance) -> bool:
        """Note a chunk's segment; return whether it is the one that is stored now.

        A segment encoded on the processor replaces one encoded on a GPU, and the wanted version
        replaces another, never the reverse: an announcement that implies the reverse is stale.
        """
        before = self._provenances.get(chunk)
        if provenance.styles and (before is None or provenance.styles not in self._versions):
            self._versions.pop(provenance.styles, None)
            self._versions[provenance.styles] = None
        if before is not None and self._rank(provenance) <= self._rank(before):
            return False
        self._provenances[chunk] = self._distinct.setdefault(provenance, provenance)
        self._counts[provenance] += 1
        if before is not None:
            self._counts[before] -= 1
            self._counts += Counter()  # drop zero counts
        return True

    def knows(self, chunk: int, provenance: Provenance) -> bool:
        """Return whether a chunk's segment is known to be made like this."""
        return self._provenances.get(chunk) == provenance

    def has(self, chunk: int) -> bool:
        """Return whether a chunk has a segment that goes with the others, as far as is known."""
        return chunk in self._provenances and self._fits(self._provenances[chunk])

    def is_outdated(self, chunk: int) -> bool:
        """Return whether a chunk's segment could be joined, but is not of the wanted version."""
        provenance = self._provenances.get(chunk)
        return (
            provenance is not None and self._joins(provenance) and not self._is_wanted(provenance)
        )

    def to_repaint(self) -> set[int]:
        """Return the chunks whose segments have to be painted anew."""
        if self.reached:
            return set()
        return {
            chunk for chunk, provenance in self._provenances.items() if not self._fits(provenance)
        }

    def give_up_version(self) -> None:
        """Want the version before this one; if there is none, any version will do."""
        self._given_up.add(self.version)

    def _fits(self, provenance: Provenance) -> bool:
        return self._is_wanted(provenance) and self._joins(provenance)

    def _is_wanted(self, provenance: Provenance) -> bool:
        return not provenance.styles or self.version in ("", provenance.styles)

    def _joins(self, provenance: Provenance) -> bool:
        return not (provenance.encoder and self.mixed)

    def _rank(self, provenance: Provenance) -> tuple[bool, bool]:
        return not provenance.encoder, self._is_wanted(provenance)
