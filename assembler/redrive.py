"""Decides when a job's missing chunks are lost, and how often they are sent again. Pure, no I/O.

A missing chunk may be waiting in the hub behind many others, or being painted right now: sending it
again would not help. It is lost only if everything that was in its partition when it was first
found missing has passed (`shared.hubs.reach`), and still no segment was announced. So a job can
wait for a pool to start for any length of time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.hubs.reach import Reach


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a job's missing chunks."""

    action: Literal["wait", "resend", "give_up"]
    lost: tuple[int, ...] = ()
    """The chunks that no stylizer is going to deliver, in order."""


class Redrive:
    """Tracks a job's missing chunks; each is sent again at most ``rounds`` times.

    When a chunk that was sent again is painted, all get as many rounds again: see `reset_rounds`.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._sent: Counter[int] = Counter()
        self._sent_since_progress: Counter[int] = Counter()
        """By chunk: how often it was sent since the last `reset_rounds`."""
        self._horizons: dict[int, dict[int, int]] = {}
        """By chunk, since it was sent: the newest event in its partition at the first look. A hub
        that is given more partitions adds one: the chunk still waits in the one before."""

    def passed(self, missing: Mapping[int, int], reach: Reach) -> list[int]:
        """Return those of the ``missing`` chunks that no longer wait in the hub, in order."""
        for chunk, partition in missing.items():
            horizons = self._horizons.setdefault(chunk, {})
            horizons.setdefault(partition, reach.newest[partition])
        return sorted(
            chunk
            for chunk in missing
            if all(reach.has_passed(*horizon) for horizon in self._horizons[chunk].items())
        )

    def sent(self, chunk: int) -> int:
        """Return how often a chunk was sent again, as far as is known."""
        return self._sent[chunk]

    def sent_since_progress(self, chunk: int) -> int:
        """Return how often a chunk was sent again since the last `reset_rounds`."""
        return self._sent_since_progress[chunk]

    def reset_rounds(self) -> None:
        """Start every chunk's rounds anew, because one that was sent again has been painted.

        That shows that some stylizers do as asked, even if not every chunk reaches one of them.
        """
        self._sent_since_progress.clear()

    def note_answer(self, chunk: int, resend: int) -> None:
        """Note an answer to a chunk's resend of this number, whichever assembler has sent it.

        The log of segments holds the answers, so that an assembler that takes over a job goes on
        with the rounds where the one before was. Answers may come twice.
        """
        if resend > self._sent[chunk]:
            self._sent[chunk] = resend
            self._sent_since_progress[chunk] += 1

    def judge(self, missing: Mapping[int, int], reach: Reach) -> Verdict:
        """Decide about the ``missing`` chunks, each with its partition.

        The caller must know every segment that was announced before ``reach`` was looked up. The
        chunks of a verdict "resend" must be sent before the next call.
        """
        lost = self.passed(missing, reach)
        if not lost:
            return Verdict("wait")
        if hopeless := [
            chunk for chunk in lost if self._sent_since_progress[chunk] >= self._rounds
        ]:
            return Verdict("give_up", tuple(hopeless))
        for chunk in lost:
            self._sent[chunk] += 1
            self._sent_since_progress[chunk] += 1
            del self._horizons[chunk]
        return Verdict("resend", tuple(lost))
