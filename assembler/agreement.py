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


class Make(NamedTuple):
    """How a segment was made: see `SegmentReady`."""

    styles: str = ""
    """Digest of the networks; empty if unknown: the segment then counts as of any version."""
    encoder: str = ""
    """Mark of the encoder; empty if the processor encoded it."""


class Agreement:
    """How a job's segments were made, as far as is known, and which of them must be replaced."""

    def __init__(self) -> None:
        self._makes: dict[int, Make] = {}
        """By chunk: how its stored segment was made."""
        self._counts: Counter[Make] = Counter()
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
        return len({make.encoder for make in self._counts}) > 1

    @property
    def reached(self) -> bool:
        """Whether all segments go together."""
        return all(self._fits(make) for make in self._counts)

    def hear(self, chunk: int, make: Make) -> bool:
        """Note a chunk's segment; return whether it is the one that is stored now.

        A segment encoded on the processor replaces one encoded on a GPU, and the wanted version
        replaces another, never the reverse: an announcement that implies the reverse is stale.
        """
        before = self._makes.get(chunk)
        if make.styles and (before is None or make.styles not in self._versions):
            self._versions.pop(make.styles, None)
            self._versions[make.styles] = None
        if before is not None and self._worth(make) <= self._worth(before):
            return False
        self._makes[chunk] = make
        self._counts[make] += 1
        if before is not None:
            self._counts[before] -= 1
            self._counts += Counter()  # drop zero counts
        return True

    def knows(self, chunk: int, make: Make) -> bool:
        """Return whether a chunk's segment is known to be made like this."""
        return self._makes.get(chunk) == make

    def has(self, chunk: int) -> bool:
        """Return whether a chunk has a segment that goes with the others, as far as is known."""
        return chunk in self._makes and self._fits(self._makes[chunk])

    def is_outdated(self, chunk: int) -> bool:
        """Return whether a chunk's segment could be joined, but is not of the wanted version."""
        make = self._makes.get(chunk)
        return make is not None and self._joins(make) and not self._is_wanted(make)

    def unfit(self) -> set[int]:
        """Return the chunks whose segments have to be painted anew."""
        if self.reached:
            return set()
        return {chunk for chunk, make in self._makes.items() if not self._fits(make)}

    def give_up_version(self) -> None:
        """Want the version before this one; if there is none, any version will do."""
        self._given_up.add(self.version)

    def _fits(self, make: Make) -> bool:
        return self._is_wanted(make) and self._joins(make)

    def _is_wanted(self, make: Make) -> bool:
        return not make.styles or self.version in ("", make.styles)

    def _joins(self, make: Make) -> bool:
        return not (make.encoder and self.mixed)

    def _worth(self, make: Make) -> tuple[bool, bool]:
        return not make.encoder, self._is_wanted(make)
