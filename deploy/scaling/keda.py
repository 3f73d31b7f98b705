"""KEDA's arithmetic for the trigger ``azure-eventhub`` with ``checkpointStrategy: blobMetadata``.

Follows ``pkg/scalers/azure_eventhub_scaler.go`` of KEDA function by function, its traps included,
so that tests can say what a pool would do about checkpoints that really were written. Pure; what
it computes with comes from a hub's properties and from checkpoint blobs (`deploy.scaling.lag`).

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
# What KEDA calls stalePartitionInfoThreshold, at its default.
_STALE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Partition:
    """Sequence numbers of a partition's first and last event, and of its checkpoint if any."""

    first: int
    last: int
    checkpoint: int | None


@dataclass(frozen=True, slots=True)
class Lag:
    """What KEDA sees of a hub."""

    events: int
    partitions: int

    def metric(self, threshold: int) -> int:
        """Return the value that the horizontal pod autoscaler is given.

        It is capped at ``threshold`` a partition, because a further pod would find no partition; by
        whole division, so that up to one threshold more than that slips through.
        """
        if self.events // threshold > self.partitions:
            return self.partitions * threshold
        return self.events

    def wakes(self, activation: int = 0) -> bool:
        """Tell whether a pool at zero is woken, or one that idles is kept."""
        return self.events > activation


def lag_of(partitions: Collection[Partition]) -> Lag:
    """Sum up a hub's lag."""
    total = sum(map(unprocessed, partitions))
    # KEDA adds in 64 bits and takes an overflow for the largest number.
    return Lag(min(total, LARGEST), len(partitions))


def unprocessed(partition: Partition) -> int:
    """Count the events of a partition that KEDA takes for unprocessed."""
    if partition.last == _EMPTY:
        return 0
    if partition.checkpoint is None:
        return _without_checkpoint(partition)
    return _by_checkpoint(partition.last, partition.checkpoint)


def _without_checkpoint(partition: Partition) -> int:
    # The trap: one event that is not the partition's very first counts as none.
    if partition.first == partition.last != 0:
        return 0
    return partition.last - partition.first + 1


def _by_checkpoint(last: int, checkpoint: int) -> int:
    count = last - checkpoint if last >= checkpoint else LARGEST - checkpoint + last
    # A checkpoint a little beyond the end: the partition's properties are older than it is, or the
    # hub was made anew. Far beyond the end, the difference is believed.
    return 0 if count > LARGEST - _STALE else count
