"""The videos of the simulated days: when they arrive, and how long they are."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

from deploy.scaling.assumptions import Assumptions

DAY_S: Final = 86_400.0
_BUSIEST_S: Final = 15 * 3600.0


@dataclass(frozen=True, slots=True)
class Video:
    """An upload; all of its chunks but the last have the same number of frames."""

    arrives_s: float
    frames: int
    chunk_frames: int

    @property
    def chunks(self) -> int:
        """The number of its chunks."""
        return -(-self.frames // self.chunk_frames)

    def frames_of(self, chunk: int) -> int:
        """Return the number of frames of a chunk."""
        return min(self.chunk_frames, self.frames - chunk * self.chunk_frames)


def uploads(assumptions: Assumptions) -> list[Video]:
    """Draw the videos of all days, in order; the same seed gives the same videos."""
    # Not for secrets: the sequence must be repeatable.
    chance = random.Random(assumptions.seed)  # noqa: S311
    arrivals = sorted(
        day * DAY_S + _time_of_day(chance, assumptions.quiet)
        for day in range(assumptions.days)
        for _ in range(assumptions.videos_a_day)
    )
    return [
        Video(arrives_s, _frames(chance, assumptions), assumptions.chunk_frames)
        for arrives_s in arrivals
    ]


def _time_of_day(chance: random.Random, quiet: float) -> float:
    """Draw a time of day, most likely in the afternoon."""
    while True:
        time_s = chance.random() * DAY_S
        wave = (1 + math.cos(2 * math.pi * (time_s - _BUSIEST_S) / DAY_S)) / 2
        if chance.random() < quiet + (1 - quiet) * wave:
            return time_s


def _frames(chance: random.Random, assumptions: Assumptions) -> int:
    length_s = chance.lognormvariate(math.log(assumptions.median_video_s), assumptions.spread)
    return max(1, round(length_s * assumptions.rate))
