"""Writes how far the owned partitions are finished: the watermark of each as its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import structlog
from azure.core.exceptions import AzureError
from azure.eventhub import EventData

from shared.contracts.errors import StylestreamError
from shared.hubs.delivery import OwnedPartition, Place
from shared.hubs.positions import HubIdentity
from shared.telemetry.metrics import ConsumerMetrics

log = structlog.get_logger()


class Checkpointer:
    """Writes the checkpoints of the partitions that a consumer owns.

    A checkpoint that cannot be written concerns its own partition only; the next flush retries.
    """

    def __init__(
        self,
        owned: Mapping[str, OwnedPartition],
        identity: HubIdentity,
        metrics: ConsumerMetrics,
    ) -> None:
        self._owned = owned
        self._identity = identity
        self._metrics = metrics

    async def flush_all(self) -> None:
        """Write the checkpoints of all partitions that have finished events since the last time."""
        for partition in list(self._owned.values()):
            await self.flush(partition)

    async def flush(self, partition: OwnedPartition) -> None:
        """Write the checkpoint of one partition if it has finished events since the last time."""
        # The lock keeps an older checkpoint from landing after a newer one.
        async with partition.flushing:
            if (place := partition.watermark.take()) is not None:
                await self._write(partition, place)
        if not partition.closed:
            self._metrics.lag(partition.context.partition_id, partition.lag)

    async def _write(self, partition: OwnedPartition, place: Place) -> None:
        started = time.perf_counter()
        try:
            made = partition.began_in or self._identity.made
            # The SDK reads nothing of the event here but its place.
            await partition.context.update_checkpoint(cast("EventData", place), hub_made=made)
        except Exception as error:  # must not keep other partitions from being flushed
            partition.watermark.put_back(place)
            self._metrics.checkpoint_failed()
            foreseen = isinstance(error, AzureError | StylestreamError)
            log.warning(
                "checkpoint not written; retrying",
                partition=partition.context.partition_id,
                error=f"{type(error).__name__}: {error}",
                exc_info=None if foreseen else error,
            )
        else:
            partition.checkpointed = place.sequence_number
            self._metrics.checkpointed(time.perf_counter() - started)
