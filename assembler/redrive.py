"""Decides when a job's missing chunks are lost, and how often they are sent again. Pure, no I/O.

A chunk that is missing may wait in the hub behind many others, or be painted right now: sending it
again would help nobody. It is lost only if the stylizers' checkpoint has passed everything that was
in its partition when the job was sealed, and still no segment was announced; or if the hub was made
anew and no longer goes that far. That is a proof, not a guess by the clock, so a job may wait for a
pool to start for as long as it likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the frames hub's partitions go, and how far they are worked off.

    Sequence numbers, by the partition's place in the hub; -1 stands before a partition's first
    event.
    """

    newest: tuple[int, ...]
    finished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a job's missing chunks."""

    action: Literal["wait", "resend", "give_up"]
    lost: tuple[int, ...] = ()
    """The chunks that no stylizer will ever bring, in order."""


class Redrive:
    """Watches over a job's missing chunks; each is sent again at most ``rounds`` times.

    Where a chunk came of it, all have as many rounds again: see `renew`.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._sent: Counter[int] = Counter()
        self._in_vain: Counter[int] = Counter()
        """By chunk: how often it was sent since the last `renew`."""
        self._horizon: dict[int, int] = {}
        """By chunk: what was newest in its partition after it had been sent."""

    def passed(self, missing: Mapping[int, int], reach: Reach) -> list[int]:
        """Return those of the ``missing`` chunks that wait in the hub no more, in order."""
        return [
            chunk
            for chunk, partition in sorted(missing.items())
            if self._is_passed(chunk, reach.newest[partition], reach.finished[partition])
        ]

    def sent(self, chunk: int) -> int:
        """Return how often a chunk was sent again."""
        return self._sent[chunk]

    def sent_in_vain(self, chunk: int) -> int:
        """Return how often a chunk was sent again since the last `renew`."""
        return self._in_vain[chunk]

    def renew(self) -> None:
        """Begin every chunk's rounds anew: one that was sent again has been painted.

        So there are stylizers that do as they are asked, though not every chunk comes to one.
        """
        self._in_vain.clear()

    def judge(self, missing: Mapping[int, int], reach: Reach) -> Verdict:
        """Judge the ``missing`` chunks, each with its partition.

        Every segment that was announced before ``reach`` was looked up has to be known. The chunks
        of a verdict "resend" have to be sent before the next look.
        """
        lost = self.passed(missing, reach)
        if not lost:
            return Verdict("wait")
        if hopeless := [chunk for chunk in lost if self._in_vain[chunk] == self._rounds]:
            return Verdict("give_up", tuple(hopeless))
        for chunk in lost:
            self._sent[chunk] += 1
            self._in_vain[chunk] += 1
            del self._horizon[chunk]
        return Verdict("resend", tuple(lost))

    def _is_passed(self, chunk: int, newest: int, finished: int) -> bool:
        horizon = self._horizon.setdefault(chunk, newest)
        return finished >= horizon or newest < horizon
