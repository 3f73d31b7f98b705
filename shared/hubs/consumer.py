"""Reads a hub and checkpoints only what is finished.

The SDK hands over events partition by partition. Each becomes a `Delivery`, which a service marks
``done`` when all effects of its work are durable, in any order and at any later time. What is
finished is checkpointed (`shared.hubs.checkpointer`): regularly, on shutdown, and never when the
partition was lost to another owner (whose checkpoint ours would overwrite).

Taking up an event waits for the service's handler, so a handler that is full stops the reading.

A receive loop can die silently (`shared.hubs.liveness`). Then a new client continues from the
checkpoints; if that does not help either, the process gives up. A client that has claimed no
partition for as long is replaced, too, and so is that of a hub that was given more partitions. A
hub that was recreated is read from its beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from azure.eventhub import CloseReason, EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from shared.contracts.errors import TransientError
from shared.hubs.checkpointer import Checkpointer
from shared.hubs.delivery import CLAIM, Handler, HubChecked, OwnedPartition, Released
from shared.hubs.handover import Handovers
from shared.hubs.liveness import Liveness
from shared.hubs.positions import BEGAN_IN, HubIdentity, Positions
from shared.hubs.queries import has_events_after, reach
from shared.hubs.sharing import BeginHandover
from shared.tasks.rounds import Errand, in_rounds
from shared.telemetry.metrics import ConsumerMetrics

log = structlog.get_logger()

# Small batches keep other partitions moving, and leave little work to repeat after a takeover.
_MAX_BATCH: Final = 16
# An idle callback this often proves that the receive loop is alive.
_IDLE_S: Final = 2.0
_REBUILDS: Final = 2
# Connections to unreachable hubs can take minutes to close.
_CLOSING_S: Final = 10.0

Connect = Callable[[BeginHandover | None], Awaitable[EventHubConsumerClient]]
"""Opens a new client of the hub, given the function that chooses partitions for newcomers."""


class Consumer:
    """Feeds one hub's events to a handler until it is stopped.

    Order is kept within a partition; delivery is at least once. To stop without redoing work:
    `drain`, wait for the deliveries in hand, then cancel `run`.
    """

    def __init__(
        self,
        connect: Connect,
        positions: Positions,
        handler: Handler,
        *,
        checkpoint_interval_s: float,
        patience_s: float,
        metrics: ConsumerMetrics,
        on_unrecoverable: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._positions = positions
        self._identity = HubIdentity(positions)
        self._patience_s = patience_s
        self._handler = handler
        self._checkpoint_interval_s = checkpoint_interval_s
        self._metrics = metrics
        self._on_unrecoverable = on_unrecoverable
        self._on_released: Released = lambda _partition_id: None
        self._on_hub_checked: HubChecked = lambda: None
        self._client: EventHubConsumerClient | None = None
        self._partitions: dict[str, OwnedPartition] = {}
        self._releases: set[asyncio.Task[object]] = set()
        """Flush a partition that is left, and then give it free for others."""
        self._liveness = Liveness(patience_s, _REBUILDS, time.monotonic)
        self._look_s = patience_s / 10
        self._claimed = self._draining = False
        self._unchecked = False
        """Whether a partition was released since the hub was last checked."""
        self._checkpointer = Checkpointer(self._partitions, self._identity, metrics)
        self._handovers = Handovers(self._partitions, self._checkpointer.flush)

    def on_released(self, callback: Released, hub_checked: HubChecked = lambda: None) -> None:
        """Call ``callback`` with each partition that we lose; see `HubChecked`."""
        self._on_released, self._on_hub_checked = callback, hub_checked

    def hand_over(self, within_s: float) -> None:
        """Let a partition finish its work, for up to ``within_s``, before a newcomer gets it."""
        self._handovers.within_s = within_s

    async def run(self) -> None:
        """Read until cancelled; then flush what is finished and release the partitions."""
        flusher = asyncio.create_task(
            in_rounds(
                "checkpoints",
                self._checkpoint_interval_s,
                self._checkpointer.flush_all,
                self._metrics.background_failed,
            )
        )
        try:
            while True:
                await self._read_until_silent()
        finally:
            flusher.cancel()
            await asyncio.gather(flusher, return_exceptions=True)

    async def _read_until_silent(self) -> None:
        """Read with the current client until it fails or must be replaced, and close it."""
        client = await self.client()
        self._claimed = False
        reading = asyncio.create_task(self._receive(client))
        renew = asyncio.Event()
        looks = [
            asyncio.create_task(self._identity.meet(client)),
            asyncio.create_task(
                self._rounds("silence", self._look_s, self._look_for_silence, renew)
            ),
            asyncio.create_task(
                self._rounds("positions", self._patience_s, self._look_at_positions, renew)
            ),
        ]
        renewing = asyncio.create_task(renew.wait())
        try:
            await asyncio.wait({reading, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await reading
        finally:
            self._client = None
            # Closing ends the reading cleanly: what is finished is flushed, partitions released.
            closing = asyncio.gather(client.close(), return_exceptions=True)
            await asyncio.wait({closing}, timeout=_CLOSING_S)
            # The SDK does not wait for them if its round of claims ends meanwhile.
            if self._releases:
                await asyncio.wait(self._releases, timeout=_CLOSING_S)
            await self._handovers.end()
            tasks = {reading, renewing, *looks}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CLOSING_S)
            while self._partitions:
                self._let_go(self._partitions.popitem()[1])

    async def _rounds(
        self,
        errand: Errand,
        every_s: float,
        look: Callable[[asyncio.Event], Awaitable[None]],
        renew: asyncio.Event,
    ) -> None:
        failed = self._metrics.background_failed
        await in_rounds(errand, every_s, lambda: look(renew), failed, until=renew)

    async def _receive(self, client: EventHubConsumerClient) -> None:
        await client.receive_batch(
            self._on_events,
            on_partition_initialize=self._on_open,
            on_partition_close=self._on_close,
            on_error=self._on_error,
            # The default, "@latest", would skip what was sent before the first claim.
            starting_position="-1",
            max_batch_size=_MAX_BATCH,
            max_wait_time=_IDLE_S,
            track_last_enqueued_event_properties=True,
        )

    async def _look_for_silence(self, renew: asyncio.Event) -> None:
        """Set ``renew`` if the client must be replaced.

        It has never claimed a partition, or it has stopped receiving: the hub holds events, and
        none of them comes.
        """
        if not self._liveness.silent:
            return
        try:
            await self.reach()
            behind = await self._behind()
        except TransientError:
            # An outage, after which the SDK reconnects by itself.
            self._liveness.restart()
            return
        if not self._claimed:
            log.info("no partition claimed; reconnecting")
            self._liveness.restart()
            renew.set()
            return
        verdict = self._liveness.judge(behind=behind)
        if verdict == "rebuild":
            self._metrics.rebuilt()
            log.warning("consumer stopped receiving; reconnecting")
            renew.set()
        if verdict == "unrecoverable":
            self._on_unrecoverable("the consumer receives no events, even after reconnecting")

    async def _look_at_positions(self, renew: asyncio.Event) -> None:
        """Set ``renew`` if the hub was recreated, or was given more partitions.

        If it was recreated, it is read from its beginning.
        """
        with contextlib.suppress(TransientError):
            if await self._check_hub():
                log.warning("hub was recreated; reading from its start")
                renew.set()
            elif self._identity.grown:
                log.info("hub has other partitions; reconnecting")
                renew.set()

    async def check_released(self) -> None:
        """Find out whether the hub of partitions that were released is gone, if that is unknown.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        if self._unchecked:
            await self._check_hub()

    async def _check_hub(self) -> bool:
        """Return whether the hub was recreated since the client began to read."""
        client = await self.client()
        anew = await self._identity.changed(client, [p.began_in for p in self._partitions.values()])
        self._unchecked = False
        self._on_hub_checked()
        return anew

    async def _behind(self) -> bool:
        """Return whether an owned partition holds events that did not come.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        client, owned = await self.client(), dict(self._partitions)
        if any(its.taken is None for its in owned.values()):
            stored = await self._positions.reached()
            for id_, its in owned.items():
                # While it is ours, nobody else moves its position.
                its.taken = stored.get(id_, -1) if its.taken is None else its.taken
        places = {id_: its.taken for id_, its in owned.items() if its.taken is not None}
        looks = (has_events_after(client, id_, place) for id_, place in places.items())
        return any(await asyncio.gather(*looks))

    async def caught_up(self, partition_id: str | None) -> bool:
        """Return whether a partition is ours and the handler has taken up all its events.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        partition = self._partitions.get(partition_id or "")
        if partition is None:
            return False
        client, id_ = await self.client(), partition.context.partition_id
        if (handled := partition.handled) is None:
            handled = (await self._positions.reached()).get(id_, -1)
        return not await has_events_after(client, id_, handled)

    def drain(self) -> None:
        """Take up no further event; those in hand may still finish."""
        self._draining = True

    async def client(self) -> EventHubConsumerClient:
        """Return the client in use."""
        if self._client is None:
            self._client = await self._connect(self._handovers.begin_handover)
        return self._client

    async def reach(self) -> None:
        """Return once the hub answers; raise a `TransientError` if it does not."""
        await reach(await self.client())

    async def _on_open(self, context: PartitionContext) -> None:
        self._claimed = True
        if earlier := self._partitions.pop(context.partition_id, None):
            self._let_go(earlier)
        began_in = BEGAN_IN.get({}).get(context.partition_id, "")
        partition = OwnedPartition(context, self._identity.incarnation, began_in)
        self._partitions[context.partition_id] = partition
        CLAIM.set(partition)
        self._note_owned()
        log.info("partition claimed", hub=context.eventhub_name, partition=context.partition_id)

    async def _on_events(self, _context: PartitionContext, events: list[EventData]) -> None:
        self._metrics.called_back()
        partition = self._claimed_partition()
        if partition is None or not events:
            return
        with self._liveness.events():
            for event in events:
                if self._draining or partition.leaving or partition.closed:
                    return
                if partition.checkpointed is None:
                    partition.checkpointed = (event.sequence_number or 0) - 1
                partition.taken = event.sequence_number
                self._metrics.received()
                await self._handler(partition.delivery(event))
                partition.handled = event.sequence_number

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        if release := asyncio.current_task():
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)
        if partition := self._claimed_partition():
            del self._partitions[context.partition_id]
            self._note_owned()
            if reason is CloseReason.SHUTDOWN:
                await self._checkpointer.flush(partition)
            self._let_go(partition)
        log.info(
            "partition released",
            hub=context.eventhub_name,
            partition=context.partition_id,
            reason=reason.name,
        )

    def _let_go(self, partition: OwnedPartition) -> None:
        partition.close()
        self._unchecked = True
        self._metrics.released(partition.context.partition_id)
        if partition.passed_on:
            self._on_released(partition.context.partition_id)

    def _claimed_partition(self) -> OwnedPartition | None:
        """Return the partition of this callback; None if its claim is over."""
        claim = CLAIM.get()
        current = claim and self._partitions.get(claim.context.partition_id)
        return claim if current is claim else None

    def _note_owned(self) -> None:
        self._liveness.restart()
        self._metrics.owned(len(self._partitions))

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        self._metrics.error()
        log.warning(
            "event hub error; the SDK retries",
            partition=context.partition_id if context else None,
            error=f"{type(error).__name__}: {error}",
        )
