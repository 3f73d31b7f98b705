"""The assumptions of the simulation, each with its reason.

Nothing here was measured on a GPU or in Azure. Change a field and run the simulation again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GPU_SPEEDS: Final = (60.0, 120.0, 197.0)
"""Frames of 1280x720 that one T4 paints a second, from pessimistic to optimistic; not measured.

The last is what the four cores of its machine could encode, at the 20.29 ms of one core a frame
that were measured (docs/performance.md).
"""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One scenario: the uploads, the speed of the machines, and the cloud."""

    videos_a_day: int
    days: int = 1
    seed: int = 1

    # Videos of 1280x720. Half are shorter than a minute, one in ten is longer than 2.8 minutes.
    median_video_s: float = 60.0
    spread: float = 0.8
    """Standard deviation of the logarithm of a video's length."""
    rate: float = 30.0
    """Frames a second."""
    chunk_frames: int = 32
    quiet: float = 0.1
    """Uploads at night, as a share of those in the busiest hour, in the afternoon."""

    partitions: int = 32
    splits: int = 16
    """Videos that are split at once: four splitters with four each."""
    split_cores: int = 8
    """Cores that they share: two for each splitter."""
    split_speed: float = 86.0
    """Frames a second of one split on its own core; measured (docs/performance.md)."""
    outstanding: int = 256
    """Chunks that a split may be ahead of the stylizers: OUTSTANDING_CHUNKS for each partition."""
    splitter_wake_s: float = 40.0
    """From an upload to a running splitter, from a pool at zero: KEDA's polling, a pod's start."""
    splitter_cooldown_s: float = 300.0

    gpu_speed: float = GPU_SPEEDS[1]
    """Frames a second that one stylizer paints: not measured."""
    mux_speed: float = 3746.0
    """Frames a second of the assembler; measured at 1280x720 (docs/performance.md)."""
    conclude_s: float = 2.0
    """From a job's last segment to its published result, without muxing. On one machine, with fast
    storage, 0.84 s were measured (docs/performance.md)."""

    node_cold_s: tuple[float, float] = (240.0, 300.0)
    """From requesting a GPU node until it is usable: virtual machine, driver, device plugin."""
    image_pull_s: tuple[float, float] = (60.0, 180.0)
    """Pulling the GPU image, mostly CUDA, onto a new node; estimated as 3 GB, compressed, at 20 to
    50 MB/s including unpacking. A node pulls it only once."""
    pod_start_s: float = 20.0
    """Starting a stylizer on a node that has its image."""
    node_idle_s: float = 300.0
    """How long a node without pods is kept: set for the cluster's autoscaler in deploy/azure."""
    balance_s: float = 10.0
    """Until partitions follow a change of the pool: two rounds of load balancing."""
    orphan_s: float = 30.0
    """Until the partitions of a lost pod are taken over: OWNERSHIP_EXPIRY_S."""
    evictions_an_hour: float = 0.05
    """Of a spot node, without Azure's notice, which is the worse case."""
    no_capacity_s: tuple[float, float] = (0.0, 0.0)
    """A time without any available nodes; those that run at its beginning are evicted."""
