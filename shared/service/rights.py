"""Check by trying which Azure roles an identity lacks for the work of a service; changes nothing.

In a service's own pod, with the pod's identity:

    kubectl -n stylestream exec deployment/splitter -- python -m shared.service.rights splitter

Connections to the hubs are opened, but no event is sent or received. Writing and deleting are tried
on a blob that does not exist: a missing role is refused before the blob is found to be missing.
"""

# ruff: noqa: SLF001 - the SDK's public methods do not tell that a hub refuses a link

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from azure.core.exceptions import AzureError
from azure.eventhub import EventData
from azure.eventhub._pyamqp.error import AMQPException
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.eventhub.aio._consumer_async import EventHubConsumer
from azure.eventhub.aio._producer_async import EventHubProducer
from azure.eventhub.exceptions import AuthenticationError, EventHubError
from azure.storage.blob.aio import ContainerClient

from shared.contracts.errors import first_line
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load, refusing
from shared.storage.answers import Answer, answer, sentence

RECEIVER: Final = "Azure Event Hubs Data Receiver"
SENDER: Final = "Azure Event Hubs Data Sender"
READER: Final = "Storage Blob Data Reader"
CONTRIBUTOR: Final = "Storage Blob Data Contributor"

_HUBS: Final = ("uploads_hub", "frames_hub", "segments_hub")
_POSITIONS: Final = (
    *("uploads_checkpoints_container", "frames_checkpoints_container"),
    "segments_checkpoints_container",
)

NEEDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "splitter": {
        RECEIVER: ("uploads_hub",),
        SENDER: ("uploads_hub", "frames_hub", "segments_hub"),
        READER: ("uploads_container", "styles_container"),
        CONTRIBUTOR: (
            *("jobs_container", "frames_container", "uploads_checkpoints_container"),
            "dead_letters_container",
        ),
    },
    "stylizer": {
        RECEIVER: ("frames_hub",),
        SENDER: ("segments_hub",),
        READER: ("jobs_container", "styles_container"),
        CONTRIBUTOR: (
            *("frames_container", "segments_container", "frames_checkpoints_container"),
            "dead_letters_container",
        ),
    },
    "assembler": {
        RECEIVER: ("segments_hub",),
        SENDER: ("frames_hub", "segments_hub"),
        READER: ("uploads_checkpoints_container", "frames_checkpoints_container"),
        CONTRIBUTOR: (
            *("results_container", "jobs_container", "frames_container", "segments_container"),
            *("segments_checkpoints_container", "dead_letters_container"),
        ),
    },
    "exporter": {RECEIVER: _HUBS, READER: ("uploads_container", *_POSITIONS)},
}
"""By service and role, the settings that name the hubs and containers on which it is needed."""

_ONLOOKER_GROUP: Final = "$Default"
_DEADLINE_S: Final = 60.0
_UNAUTHORIZED: Final = "unauthorized-access"
_EXCLUDED: Final = "link:stolen"
"""Why hubs refuse a reader that they would admit if a consumer did not own the partition."""
_ALLOWED: Final = (Answer.ABSENT, Answer.EXISTS, Answer.CHANGED)


@dataclass(frozen=True, slots=True)
class Right:
    """A role on one hub or container, and the result of trying what it allows."""

    role: str
    on: str
    """Such as ``container frames``."""
    problem: str | None = None
    """None if everything is allowed."""
    lacking: bool = False
    """Whether a request was refused, as opposed to not answered."""


async def rights(settings: ServiceSettings, service: str) -> AsyncIterator[Right]:
    """Try everything that ``service`` needs, with the identity that ``settings`` sign in with."""
    async with AzureClients(settings) as clients:
        accounts = await clients.storage()
        for role, field, name in _needed(settings, service):
            if field.endswith("_container"):
                yield await on_container(accounts.get_container_client(name), role)
            elif role == SENDER:
                yield await to_send(await clients.keep(await clients.producer(name)))
            else:
                onlooker = await clients.onlooker(name, _ONLOOKER_GROUP)
                yield await to_receive(await clients.keep(onlooker))


def _needed(settings: ServiceSettings, service: str) -> Iterator[tuple[str, str, str]]:
    for role, fields in NEEDS[service].items():
        for field in fields:
            if name := getattr(settings, field):
                yield role, field, name


async def on_container(container: ContainerClient, role: str) -> Right:
    """Try what ``role``, reader or contributor, allows in a container."""
    on = f"container {container.container_name}"
    blob = container.get_blob_client(f"rights/{uuid.uuid4().hex}")
    tries: list[Callable[[], Awaitable[object]]] = [lambda: _list(container)]
    if role == CONTRIBUTOR:
        tries += [lambda: blob.set_blob_metadata({}), blob.delete_blob]
    for attempt in tries:
        try:
            await attempt()
        except AzureError as error:
            found = answer(error)
            if found not in _ALLOWED:
                return Right(role, on, sentence(error), found is Answer.DENIED)
    return Right(role, on)


async def _list(container: ContainerClient) -> None:
    async for _ in container.list_blobs(results_per_page=1).by_page():
        return


async def to_send(producer: EventHubProducerClient) -> Right:
    """Open a link to a hub without sending anything."""

    async def send() -> None:
        await _open(producer._create_producer())

    return await _on_hub(SENDER, producer.eventhub_name, send)


async def to_receive(consumer: EventHubConsumerClient) -> Right:
    """Open a link from a hub's first partition, in the onlookers' group; no event is taken."""

    async def ignore(_context: PartitionContext, _event: EventData) -> None:
        """Leave an event that arrives before the link is closed."""

    async def receive() -> None:
        first, *_ = await consumer.get_partition_ids()
        group = consumer._consumer_group
        await _open(consumer._create_consumer(group, first, "@latest", ignore))

    return await _on_hub(RECEIVER, consumer.eventhub_name, receive)


async def _open(link: EventHubConsumer | EventHubProducer) -> None:
    """Open a link and close it, or raise why the hub refuses it."""
    try:
        await link._open()
        # A hub first answers a link that it refuses, and the SDK takes that for its consent.
        assert link._handler is not None
        await link._handler.do_work_async()
        await link._handler.client_ready_async()
    except AMQPException as error:
        raise await link._handle_exception(error) from error
    finally:
        await link.close()


async def _on_hub(role: str, hub: str, attempt: Callable[[], Awaitable[object]]) -> Right:
    on = f"hub {hub}"
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await attempt()
    except TimeoutError:
        return Right(role, on, f"it did not answer within {_DEADLINE_S:g} s")
    except EventHubError as error:
        if error.error == _EXCLUDED:
            return Right(role, on)
        lacking = isinstance(error, AuthenticationError) or error.error == _UNAUTHORIZED
        return Right(role, on, first_line(error), lacking)
    except AzureError as error:
        return Right(role, on, first_line(error))
    return Right(role, on)


def main() -> None:
    """Print a line for each role; exit with 1 if one is lacking or unclear, 2 if misconfigured."""
    parser = argparse.ArgumentParser(
        prog="rights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("service", choices=[*NEEDS])
    service = parser.parse_args().service
    with refusing("rights"):
        sys.exit(0 if asyncio.run(_report(load(ServiceSettings), service)) else 1)


async def _report(settings: ServiceSettings, service: str) -> bool:
    sound = True
    async for right in rights(settings, service):
        sound = sound and right.problem is None
        print(describe(right))
    return sound


def describe(right: Right) -> str:
    """Return a sentence about ``right``."""
    if right.problem is None:
        return f"{right.on}: {right.role} is granted"
    if right.lacking:
        return f"{right.on}: {right.role} is missing: {right.problem}"
    return f"{right.on}: cannot determine whether {right.role} is granted: {right.problem}"


if __name__ == "__main__":
    main()
