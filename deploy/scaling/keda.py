"""KEDA's arithmetic for the trigger ``azure-eventhub`` with ``checkpointStrategy: blobMetadata``.

It follows KEDA's ``pkg/scalers/azure_eventhub_scaler.go`` function by function, including its
pitfalls, so that tests can show what a pool would do about real checkpoints. Pure, no I/O: its
input comes from a hub's properties and checkpoint blobs (`deploy.scaling.lag`).

========================================  ============================================
here                                      there
========================================  ============================================
`unprocessed`                             GetUnprocessedEventCountInPartition
`_by_checkpoint`                          calculateUnprocessedEvents
`_without_checkpoint`                     GetUnprocessedEventCountWithoutCheckpoint
`Lag.metric`                              getTotalLagRelatedToPartitionAmount
`lag_of`, `Lag.wakes`                     GetMetricsAndActivity
========================================  ============================================
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

LARGEST: Final = 2**63 - 1
_EMPTY: Final = -1
# KEDA's stalePartitionInfoThreshold, at its default.
_STALE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Partition:
    """Sequence numbers of a partition's first and last events, and of its checkpoint if any."""

    first: int
    last: int
    checkpoint: int | None


@dataclass(frozen=True, slots=True)
class Lag:
    """What KEDA sees of a hub."""

    events: int
    partitions: int

    def metric(self, threshold: int) -> int:
        """Return the value that the horizontal pod autoscaler gets.

        It is limited to ``threshold`` for each partition, because further pods would get no
        partition. KEDA divides integers, so that up to one threshold more passes the limit.
        """
        if self.events // threshold > self.partitions:
            return self.partitions * threshold
        return self.events

    def wakes(self, activation: int = 0) -> bool:
        """Return whether a pool at zero is started, or an idle one is kept."""
        return self.events > activation


def lag_of(partitions: Collection[Partition]) -> Lag:
    """Return a hub's lag."""
    total = sum(map(unprocessed, partitions))
    # KEDA adds in 64 bits, and an overflow becomes the largest number.
    return Lag(min(total, LARGEST), len(partitions))


def unprocessed(partition: Partition) -> int:
    """Count the events of a partition that KEDA considers unprocessed."""
    if partition.last == _EMPTY:
        return 0
    if partition.checkpoint is None:
        return _without_checkpoint(partition)
    return _by_checkpoint(partition.last, partition.checkpoint)


def _without_checkpoint(partition: Partition) -> int:
    # The pitfall: a single event that is not the partition's very first counts as none.
    if partition.first == partition.last != 0:
        return 0
    return partition.last - partition.first + 1


def _by_checkpoint(last: int, checkpoint: int) -> int:
    count = last - checkpoint if last >= checkpoint else LARGEST - checkpoint + last
    # A checkpoint is a little beyond the end if the partition's properties are older, or if the hub
    # was recreated. Far beyond the end, KEDA trusts the difference.
    return 0 if count > LARGEST - _STALE else count
