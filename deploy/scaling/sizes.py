"""Computes, without a simulation, the size of each pool and the number of namespaces for a load.

The busiest hour counts, not the day's mean. Pipelines share nothing: each namespace is a pipeline
of its own, with its own hubs and pools, for the uploads of some folders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from deploy.scaling.assumptions import Assumptions
from deploy.scaling.workload import DAY_S

STANDARD_PARTITIONS: Final = 32
"""The limit of partitions of a hub in the Standard tier, and so of stylizers with work."""
PREMIUM_PARTITIONS: Final = 100
"""The same in Premium."""
UNIT_EVENTS: Final = 1000.0
"""Events a second that one throughput unit accepts."""
PARTITIONS_EACH: Final = 2
"""Partitions that each stylizer should own, at least. Chunks are spread evenly over partitions: if
some stylizers own one and others two, those with two are the bottleneck, and the rest idle."""

EVENTS_A_CHUNK: Final = 2
"""A chunk's reference in the hub of frames, and its segment's announcement."""
SPLITTER_CORES: Final = 2
SPLITTER_SPLITS: Final = 4
ROOM: Final = 0.75
"""The highest utilisation in the busiest hour, which leaves room for bursts."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a load needs in all namespaces together."""

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
        """Throughput units of each Standard namespace."""
        return max(1, math.ceil(self.events_s / self.standard / UNIT_EVENTS))


def size_of(assumptions: Assumptions) -> Size:
    """Return what a load needs."""
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
    """Return the frames a second that arrive at the busiest time of the day."""
    # Lengths are lognormal, and the mean over a day is half-way between night and afternoon.
    length_s = assumptions.median_video_s * math.exp(assumptions.spread**2 / 2)
    peak = 1 / ((1 + assumptions.quiet) / 2)
    return assumptions.videos_a_day * length_s * assumptions.rate / DAY_S * peak
