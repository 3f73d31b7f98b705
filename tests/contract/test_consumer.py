"""The consumer on a real broker and real checkpoints: nothing unfinished is ever passed (I1)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from azure.eventhub.aio import EventHubConsumerClient
from azure.storage.blob.aio import BlobServiceClient
from contract.conftest import broker
from hub_reader import DEADLINE_S, HUB, Reader, reader_of, send
from ports import unused_port

from shared.contracts.errors import TransientError
from shared.hubs.liveness import Liveness
from shared.hubs.positions import HUB_MADE, Corrected, ForwardCheckpointStore
from shared.service.checkpoints import HubPositions, checkpoint_blob, prepare
from shared.service.clients import AzureClients
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_checkpoint_waits_for_the_slowest_of_a_partitions_events(reader: Reader) -> None:
    await send(reader, "0", 0, 1, 2, 3)
    await send(reader, "1", 9)
    async with reader.reading():
        deliveries = await reader.until(5)
        first, *others = [d for d in deliveries if d.partition_id == "0"]
        sentinel = next(d for d in deliveries if d.partition_id == "1")

        # When all but the first are finished, out of order, and checkpoints are being written
        for delivery in reversed(others):
            delivery.done()
        sentinel.done()
        found = await reader.checkpoint_is(
            lambda c: c.get("1") == sentinel.sequence_number,
        )

        # Then partition 0 has not passed the first; once that is finished, it passes all
        assert found.get("0", -1) < first.sequence_number
        first.done()
        await reader.checkpoint_is(lambda c: c.get("0") == others[-1].sequence_number)


async def test_after_a_restart_unfinished_events_come_again_and_finished_do_not(
    reader: Reader,
) -> None:
    await send(reader, "0", 0, 1, 2)
    async with reader.reading():
        deliveries = await reader.until(3)
        deliveries[0].done()
        await reader.checkpoint_is(lambda c: c.get("0") == deliveries[0].sequence_number)
    async with reader.reading():
        again = await reader.until(2)
    assert [d.sequence_number for d in again] == [d.sequence_number for d in deliveries[1:]]


async def test_a_shutdown_flushes_what_is_finished(reader: Reader) -> None:
    await send(reader, "0", 0, 1)
    async with reader.reading(interval_s=3600):
        deliveries = await reader.until(2)
        for delivery in deliveries:
            delivery.done()
    assert (await reader.checkpoints())["0"] == deliveries[-1].sequence_number


async def test_a_draining_consumer_takes_up_nothing_more(reader: Reader) -> None:
    await send(reader, "0", 0)
    async with reader.reading() as consumer:
        (first,) = await reader.until(1)
        consumer.drain()
        await send(reader, "0", 1)
        before = len(reader.taken)
        # The event that follows is read by another consumer as proof that it was there to be taken
        first.done()
        await reader.checkpoint_is(lambda c: c.get("0") == first.sequence_number)
        assert len(reader.taken) == before
    async with reader.reading():
        assert len(await reader.until(1)) == 1


async def test_a_body_of_another_kind_arrives_as_bytes_that_no_decoder_takes(
    reader: Reader, eventhub_connection: str
) -> None:
    from azure.eventhub.aio import EventHubProducerClient
    from azure.eventhub.amqp import AmqpAnnotatedMessage

    marker = reader.settings.consumer_group
    foreign: Any = AmqpAnnotatedMessage(value_body={"group": marker})
    async with EventHubProducerClient.from_connection_string(
        eventhub_connection, eventhub_name=HUB
    ) as producer:
        await producer.send_batch([foreign], partition_id="0")
    async with reader.reading():
        (delivery,) = await reader.until(1)
    assert isinstance(delivery.body, bytes)
    assert marker.encode() in delivery.body


async def test_an_owner_that_stood_still_does_not_put_a_position_back(reader: Reader) -> None:
    await send(reader, "0", 0, 1, 2, 3)
    async with AzureClients(reader.settings) as clients:
        first, *_, last = await _events(reader, 4)
        store, _ = await clients._checkpoint_stores(HUB)
        await store.update_checkpoint(last)
        reached = (await reader.checkpoints())["0"]

        # When somebody who read only the first writes what it has come to
        await store.update_checkpoint(first)

        # Then the position stays where the others have brought it
        assert (await reader.checkpoints())["0"] == reached == last["sequence_number"]


async def test_a_corrupt_position_holds_up_neither_its_partition_nor_the_others(
    reader: Reader,
) -> None:
    await send(reader, "0", 0)
    await send(reader, "1", 1)
    async with reader.reading():
        first = await reader.until(2)
        for delivery in first:
            delivery.done()
        await reader.checkpoint_is(lambda c: len(c) == 2)
        # When somebody takes the metadata off the blobs that hold the positions
        for delivery in first:
            name = checkpoint_blob(reader.settings, HUB, delivery.partition_id)
            await reader.container.get_blob_client(name).set_blob_metadata({})
        await send(reader, "0", 2)
        await send(reader, "1", 3)
        for delivery in await reader.until(4):
            delivery.done()
        # Then both are written again
        wanted = {d.partition_id: d.sequence_number for d in await reader.until(4)}
        await reader.checkpoint_is(lambda c: c == wanted)


async def test_a_round_of_checkpoints_that_fails_is_counted_and_followed_by_the_next(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = ForwardCheckpointStore.update_checkpoint, [MemoryError("one"), KeyError("x")]

    async def fail_twice(self: ForwardCheckpointStore, *args: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        await write(self, *args, **options)

    monkeypatch.setattr(ForwardCheckpointStore, "update_checkpoint", fail_twice)
    await send(reader, "0", 0)
    async with reader.reading():
        (delivery,) = await reader.until(1)
        delivery.done()
        await reader.checkpoint_is(lambda c: c.get("0") == delivery.sequence_number)
    failed = reader.metrics.get_sample_value("test_checkpoint_failures_total", {"hub": HUB})
    assert failed == 2


async def test_a_recreated_hub_that_has_grown_beyond_the_old_one_loses_nothing(
    storage_connection: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, correct, grown = unused_port(), HubPositions.correct, asyncio.Event()

    async def look_late(self: HubPositions, client: EventHubConsumerClient) -> int:
        await grown.wait()
        return await correct(self, client)

    monkeypatch.setattr(HubPositions, "correct", look_late)
    async with (
        BlobServiceClient.from_connection_string(storage_connection) as blobs,
        contextlib.AsyncExitStack() as hub,
    ):
        old = await hub.enter_async_context(contextlib.AsyncExitStack())
        connection = await old.enter_async_context(broker(tmp_path_factory.mktemp("old"), port))
        reader = await reader_of(storage_connection, connection, blobs)
        await send(reader, "0", *range(3))
        async with reader.reading(patience_s=1):
            for delivery in await reader.until(3):
                delivery.done()
            await reader.checkpoint_is(lambda c: c.get("0") == 2)
            # When the hub is made anew, and has more events than were read before anybody looks
            await old.aclose()
            reader.taken.clear()
            await hub.enter_async_context(broker(tmp_path_factory.mktemp("new"), port))
            await send(reader, "0", *range(10, 20))
            grown.set()

            # Then they are read, all of them, and its position is the one that counts
            read = set[int]()
            async with asyncio.timeout(DEADLINE_S):
                while (await reader.checkpoints()).get("0") != 9 or read != set(range(10)):
                    # On a slow machine the consumer reconnects meanwhile, and reads some again.
                    for delivery in reader.taken:
                        delivery.done()
                        read.add(delivery.sequence_number)
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("by_another", [False, True], ids=["corrects", "finds-corrected"])
async def test_a_consumer_that_began_behind_an_old_hubs_position_begins_anew(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, by_another: bool
) -> None:
    # A machine on which an event takes a second is slow, and no reason to reconnect.
    monkeypatch.setattr(Liveness, "silent", False)
    correct, write = HubPositions.correct, ForwardCheckpointStore.update_checkpoint
    flushed, corrected = asyncio.Event(), asyncio.Event()

    async def note_flush(self: ForwardCheckpointStore, *args: Any, **options: Any) -> None:
        await write(self, *args, **options)
        flushed.set()

    async def correct_late(self: HubPositions, client: EventHubConsumerClient) -> Corrected:
        if corrected.is_set():
            return await correct(self, client)
        # When it has read what follows that position, and finishes it just after the correction
        deliveries = await reader.until(7)
        result = await correct(self, client)
        corrected.set()
        flushed.clear()
        for delivery in deliveries:
            delivery.done()
        await flushed.wait()
        return await correct(self, client) if by_another else result

    await send(reader, "0", *range(10))
    (_, _, event, *_) = await _events(reader, 10)
    async with AzureClients(reader.settings) as clients:
        store, _ = await clients._checkpoint_stores(HUB)
        await store.update_checkpoint(event, hub_made="2020-01-01T00:00:00+00:00")
    monkeypatch.setattr(ForwardCheckpointStore, "update_checkpoint", note_flush)
    monkeypatch.setattr(HubPositions, "correct", correct_late)
    async with reader.reading(patience_s=1):
        await corrected.wait()
        reader.taken.clear()

        # Then it reads the events before that position, too, and only then passes them
        seen = {delivery.sequence_number for delivery in await reader.until(10)}
        assert seen == set(range(10))
        assert (await reader.checkpoints())["0"] == -1
        for delivery in reader.taken:
            delivery.done()
        await reader.checkpoint_is(lambda c: c["0"] == 9)


async def test_no_position_is_corrected_by_a_look_during_which_the_hub_is_replaced(
    storage_connection: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = EventHubConsumerClient.get_partition_properties
    port, asked, replaced = unused_port(), asyncio.Event(), asyncio.Event()

    async def late(client: EventHubConsumerClient, partition_id: str) -> dict[str, Any]:
        asked.set()
        await replaced.wait()
        return await look_up(client, partition_id)

    async with (
        BlobServiceClient.from_connection_string(storage_connection) as account,
        contextlib.AsyncExitStack() as new,
        contextlib.AsyncExitStack() as old,
    ):
        connection = await old.enter_async_context(broker(tmp_path_factory.mktemp("old"), port))
        reader = await reader_of(storage_connection, connection, account)
        await send(reader, "0", *range(3))
        async with reader.reading():
            for delivery in await reader.until(3):
                delivery.done()
            await reader.checkpoint_is(lambda c: c.get("0") == 2)
        container = reader.settings.checkpoints_container(HUB)
        name, blobs = checkpoint_blob(reader.settings, HUB, "0"), BlobStore(account)
        positions = HubPositions(blobs, reader.settings, HUB)
        before = await blobs.facts(container, name)
        assert before
        async with (
            AzureClients(reader.settings) as clients,
            await clients.consumer(HUB) as client,
        ):
            # Given a look that has learnt which hub it is, and is held up
            monkeypatch.setattr(EventHubConsumerClient, "get_partition_properties", late)
            look = asyncio.create_task(positions.correct(client))
            await asked.wait()
            # When the hub is replaced
            await old.aclose()
            await new.enter_async_context(broker(tmp_path_factory.mktemp("new"), port))
            replaced.set()
            # Then nothing of the new hub is written down as of the old one
            with pytest.raises(TransientError):
                await look
            assert await blobs.facts(container, name) == before
            assert (await positions.correct(client)).positions
            after = await blobs.facts(container, name)
    assert after
    assert after.metadata[HUB_MADE] > before.metadata[HUB_MADE]
    assert after.metadata["sequencenumber"] == "-1"


async def test_work_of_the_old_hub_that_finishes_late_does_not_move_the_new_hubs_position(
    reader: Reader,
) -> None:
    await send(reader, "0", *range(3))
    (first, *_) = await _events(reader, 3)
    async with AzureClients(reader.settings) as clients:
        async with await clients.consumer(HUB) as client:
            blobs = BlobStore(await clients.storage())
            await prepare(client, blobs, reader.settings)
        container = reader.settings.checkpoints_container(HUB)
        name = checkpoint_blob(reader.settings, HUB, "0")
        there = await blobs.facts(container, name)
        assert there
        assert there.metadata[HUB_MADE] > "2020"
        store = ForwardCheckpointStore(blobs, container)
        await store.update_checkpoint(first, hub_made="2020-01-01T00:00:00+00:00")
        assert await blobs.facts(container, name) == there
        await store.update_checkpoint(first, hub_made=there.metadata[HUB_MADE])
        moved = await blobs.facts(container, name)
        assert moved
        assert moved.metadata == {
            **there.metadata,
            "sequencenumber": str(first["sequence_number"]),
            "offset": first["offset"],
        }


async def _events(reader: Reader, count: int) -> list[dict]:
    async with reader.reading(interval_s=3600):
        deliveries = await reader.until(count)
    return [
        {
            "fully_qualified_namespace": checkpoint_blob(reader.settings, HUB, "0").split("/")[0],
            "eventhub_name": HUB,
            "consumer_group": reader.settings.consumer_group,
            "partition_id": "0",
            "sequence_number": delivery.sequence_number,
            "offset": str(delivery.sequence_number),
        }
        for delivery in deliveries
    ]
