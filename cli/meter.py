"""The progress of one job: its stage, its share, its speed, and the time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.contracts.status import SplitProgress, State, Status

SPEED_WINDOW_S: Final = 20.0
"""The speed is averaged over this time: chunks come in bursts, and machines get busy."""

WORDS: Final[Mapping[State, str]] = {
    "splitting": "reading",
    "stylizing": "painting",
    "assembling": "joining",
}


@dataclass(slots=True)
class Meter:
    """The progress of one job; times are those of a monotonic clock.

    ``expected`` is the number of frames according to the file; None if it does not say. It is
    replaced by the splitter's count as soon as that is known.
    """

    name: str
    expected: int | None = None
    stage: str = "waiting"
    painted: int = 0
    frames: int = 0
    """Frames of the whole video; 0 until the split is complete."""
    read: int = 0
    begun: bool = False
    """Whether any work on the job was seen, even if it waits now."""
    waiting_for: str | None = None
    """What a job that has begun waits for; completes "waiting for ..."."""
    ended: bool = False
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, status: Status | None, split: SplitProgress | None, now: float) -> None:
        """Update from a job's record; None is a job that no service has taken up yet."""
        if status is None:
            self.stage = "queued"
            return
        self.frames = status.frames
        self.read = status.frames or (split.frames if split else self.read)
        self._paint(status.frames_stylized, now)
        self.stage = WORDS.get(status.state, status.state)
        if status.state == "splitting" and self.painted:
            self.stage = "painting"
        if status.waiting is not None:
            self.stage = "waiting"
        self.begun = self.begun or status.state != "queued"
        self.ended = status.ended
        self.waiting_for = status.waiting.reason if status.waiting and not self.ended else None
        if status.state in {"done", "degraded"}:
            self.painted = self.frames

    @property
    def total(self) -> int | None:
        """Frames of the whole video, as far as is known."""
        return self.frames or (self.expected and max(self.expected, self.read)) or None

    @property
    def share(self) -> float | None:
        """The painted share, 0 to 1; None while the total is unknown."""
        return min(1.0, self.painted / self.total) if self.total else None

    @property
    def percent(self) -> int | None:
        """The share in whole percent, rounded down; 100 only once the job has ended."""
        if self.share is None:
            return None
        return 100 if self.ended else min(99, int(self.share * 100))

    @property
    def frames_per_second(self) -> float | None:
        """The current speed of painting; None before there are two measurements."""
        if len(self._marks) < 2 or self.ended:  # noqa: PLR2004
            return None
        (first_at, first), (last_at, last) = self._marks[0], self._marks[-1]
        return (last - first) / (last_at - first_at)

    @property
    def seconds_left(self) -> float | None:
        """How long painting will take at this speed; None if that is unknown."""
        if not (self.total and self.frames_per_second):
            return None
        return max(0, self.total - self.painted) / self.frames_per_second

    def _paint(self, painted: int, now: float) -> None:
        # The first mark is the first segment: reading the video before that is not painting.
        if painted <= self.painted:
            return
        self.painted = painted
        self._marks.append((now, painted))
        while len(self._marks) > 2 and now - self._marks[0][0] > SPEED_WINDOW_S:  # noqa: PLR2004
            self._marks.popleft()
