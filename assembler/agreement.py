"""Which segments of a job go together. Pure, no I/O.

All of a result is painted by one version of its style, and its segments can be joined. Segments
that GPUs encoded can be joined to those of the same word alone, those of the processor to each
other. Where a job has heard of two kinds, one of them has to be painted anew:

- Of encoders it is the GPUs': the processor's segment is the one that every stylizer can make.
- Of versions it is all but the one that was heard last, of a chunk that nothing had been heard of
  or as the first of its version: while stylizers are updated one after another, the new version is
  the one that stays. What comes twice, and what is said of a chunk that was sent again, decides
  nothing, so that the choice does not go to and fro.

A version that stylizers no longer have, since they were set back to another, can be given up.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Make(NamedTuple):
    """How a segment was made: see `SegmentReady`."""

    styles: str = ""
    """Digest of the networks; empty when that is not known: such a segment goes with all."""
    encoder: str = ""
    """What encoded it, if that was not the processor."""


class Agreement:
    """What is known of how a job's segments were made, and which of them have to go."""

    def __init__(self) -> None:
        self._makes: dict[int, Make] = {}
        """By chunk: how the segment was made that is stored."""
        self._counts: Counter[Make] = Counter()
        self._versions: dict[str, None] = {}
        """Those heard of, the wanted one last."""
        self._given_up: set[str] = set()

    @property
    def version(self) -> str:
        """The version that all segments are to have; empty when none is asked for."""
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

        The processor's replaces a GPU's, the wanted version another, and never the reverse: what
        says the reverse was said before.
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
            self._counts += Counter()  # without what counts nothing
        return True

    def knows(self, chunk: int, make: Make) -> bool:
        """Whether a chunk's segment is known to be made so."""
        return self._makes.get(chunk) == make

    def has(self, chunk: int) -> bool:
        """Whether a chunk has a segment that goes with the others, as far as is known."""
        return chunk in self._makes and self._fits(self._makes[chunk])

    def is_outdated(self, chunk: int) -> bool:
        """Whether a chunk has a segment that could be joined, but is not of the wanted version."""
        make = self._makes.get(chunk)
        return make is not None and self._joins(make) and not self._is_wanted(make)

    def unfit(self) -> set[int]:
        """Return the chunks whose segments have to be made anew."""
        if self.reached:
            return set()
        return {chunk for chunk, make in self._makes.items() if not self._fits(make)}

    def give_up_version(self) -> None:
        """Want the version before this one; where there is none, each goes with all."""
        self._given_up.add(self.version)

    def _fits(self, make: Make) -> bool:
        return self._is_wanted(make) and self._joins(make)

    def _is_wanted(self, make: Make) -> bool:
        return not make.styles or self.version in ("", make.styles)

    def _joins(self, make: Make) -> bool:
        return not (make.encoder and self.mixed)

    def _worth(self, make: Make) -> tuple[bool, bool]:
        return not make.encoder, self._is_wanted(make)
