"""What the simulation takes for granted, every figure with its reason.

Nothing here was measured on a GPU or in Azure. Change a field and run the simulation again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GPU_SPEEDS: Final = (60.0, 120.0, 197.0)
"""Frames of 1280x720 that one T4 paints a second, from pessimistic to optimistic: not measured.

The last is what the four cores of its machine could encode, at 20.29 ms of one of them a frame, as
measured (docs/performance.md).
"""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """One scenario: what comes in, what the machines can do, what the cloud does."""

    videos_a_day: int
    days: int = 1
    seed: int = 1

    # Videos of 1280x720. Half are shorter than a minute, one in ten is longer than 2.8 minutes.
    median_video_s: float = 60.0
    spread: float = 0.8
    """Of the logarithm of a video's length."""
    rate: float = 30.0
    """Frames a second."""
    chunk_frames: int = 32
    quiet: float = 0.1
    """Uploads at night, as a share of those at the busiest hour (the afternoon)."""

    partitions: int = 32
    splits: int = 16
    """Videos split at once: four splitters with four each."""
    split_cores: int = 8
    """Cores that these share: two a splitter."""
    split_speed: float = 86.0
    """Frames a second of one split on a core of its own; measured (docs/performance.md)."""
    outstanding: int = 256
    """Chunks that a split may be ahead of the stylizers: OUTSTANDING_CHUNKS a partition."""
    splitter_wake_s: float = 40.0
    """From an upload to a splitter that was at zero: a look of KEDA and the start of a pod."""
    splitter_cooldown_s: float = 300.0

    gpu_speed: float = GPU_SPEEDS[1]
    """Frames a second that one stylizer paints: not measured."""
    mux_speed: float = 3746.0
    """Frames a second of the assembler; measured at 1280x720 (docs/performance.md)."""
    conclude_s: float = 2.0
    """From a job's last segment to its published result, besides muxing; measured on one machine,
    where storage is near: 0.84 s (docs/performance.md)."""

    node_cold_s: tuple[float, float] = (240.0, 300.0)
    """From asking for a GPU node to one whose driver works: virtual machine, driver, plugin."""
    image_pull_s: tuple[float, float] = (60.0, 180.0)
    """Pulling the image for GPUs onto a new node, CUDA most of it: an estimate, some 3 GB packed at
    20 to 50 MB/s with unpacking. What a node has pulled once, it has."""
    pod_start_s: float = 20.0
    """Starting a stylizer on a node that has its image."""
    node_idle_s: float = 300.0
    """How long a node without pods is kept: as deploy/azure sets the cluster's autoscaler."""
    balance_s: float = 10.0
    """Until partitions follow a change of the pool: two looks of the load balancing."""
    orphan_s: float = 30.0
    """Until the partitions of a pod that vanished are taken over: OWNERSHIP_EXPIRY_S."""
    evictions_an_hour: float = 0.05
    """Of a spot node; it is taken without the notice that Azure gives, the worse case."""
    no_capacity_s: tuple[float, float] = (0.0, 0.0)
    """From when to when there are no nodes to be had; those that run at its beginning are taken."""
