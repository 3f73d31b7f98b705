"""What a load wants of each part, and how many namespaces: arithmetic, without a simulation.

A busy hour decides, not a day's mean. Parts of a pipeline are shared by nobody else: a namespace
is a pipeline of its own, with hubs, pools and assemblers, that takes the uploads of some folders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from deploy.scaling.assumptions import Assumptions
from deploy.scaling.workload import DAY_S

STANDARD_PARTITIONS: Final = 32
"""Most partitions of a hub in the Standard tier, and so most stylizers that find work."""
PREMIUM_PARTITIONS: Final = 100
"""The same in Premium."""
UNIT_EVENTS: Final = 1000.0
"""Events a second that one throughput unit takes in."""
PARTITIONS_EACH: Final = 2
"""Partitions that a stylizer should own, at least. Chunks are dealt evenly to partitions: where
some stylizers own one and others two, those with two set the pace, and the rest idle."""

EVENTS_A_CHUNK: Final = 2
"""A chunk's reference into the hub of frames, and the word of its segment."""
SPLITTER_CORES: Final = 2
SPLITTER_SPLITS: Final = 4
ROOM: Final = 0.75
"""How busy a pool may be in the busiest hour, so that what came in a burst is worked off."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a load wants, all namespaces together."""

    videos_a_day: int
    frames_s: float
    """Frames a second in the busiest hour."""
    stylizers: int
    splitters: int
    assemblers: int
    events_s: float
    standard: int
    """Namespaces of the Standard tier."""
    premium: int
    """Namespaces of the Premium tier."""

    @property
    def units(self) -> int:
        """Throughput units that each Standard namespace wants."""
        return max(1, math.ceil(self.events_s / self.standard / UNIT_EVENTS))


def size_of(assumptions: Assumptions) -> Size:
    """Return what a load wants."""
    frames_s = busiest_frames_s(assumptions)
    stylizers = math.ceil(frames_s / assumptions.gpu_speed / ROOM)
    cores = frames_s / assumptions.split_speed / ROOM
    return Size(
        videos_a_day=assumptions.videos_a_day,
        frames_s=frames_s,
        stylizers=stylizers,
        splitters=math.ceil(cores / SPLITTER_CORES),
        assemblers=math.ceil(frames_s / assumptions.mux_speed / ROOM),
        events_s=frames_s / assumptions.chunk_frames * EVENTS_A_CHUNK,
        standard=math.ceil(stylizers * PARTITIONS_EACH / STANDARD_PARTITIONS),
        premium=math.ceil(stylizers * PARTITIONS_EACH / PREMIUM_PARTITIONS),
    )


def busiest_frames_s(assumptions: Assumptions) -> float:
    """Return how many frames a second come in at the busiest time of the day."""
    # Lengths are lognormal, and the day's wave has its mean half-way between night and afternoon.
    length_s = assumptions.median_video_s * math.exp(assumptions.spread**2 / 2)
    peak = 1 / ((1 + assumptions.quiet) / 2)
    return assumptions.videos_a_day * length_s * assumptions.rate / DAY_S * peak
