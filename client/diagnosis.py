"""Looks a deployment over, and says in sentences what is wrong with it and how to mend it.

It asks what the services themselves depend on, with the rights of whoever runs it: storage and its
containers, clocks, hubs, positions, readers, and whether uploads are announced. It changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from azure.core.exceptions import AzureError

from client.dead_letters import find_settings, reach_storage
from shared.contracts.errors import StylestreamError
from shared.service.backlog import Backlog, look
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore

# What Entra and signed links forgive.
_SKEW_S: Final = 300.0
# How long an announcement may take, with some patience.
_ANNOUNCED_WITHIN_S: Final = 120.0
_ONLOOKER_GROUP: Final = "$Default"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and if something is wrong with it, what helps."""

    what: str
    remedy: str | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.remedy is None


async def diagnose(directory: Path | None = None) -> AsyncIterator[Finding]:
    """Look over a stack, the environment's deployment, or the default stack.

    Raises:
        ConfigurationError: nothing says where storage and hubs are.
        TransientError: storage cannot be reached at all.
    """
    settings = find_settings(directory)
    await reach_storage(settings)
    async with AzureClients(settings) as clients:
        blobs = BlobStore(await clients.storage())
        for container in containers_of(settings):
            yield await _container(blobs, container)
        yield judge_clock(await _skew_s(clients, settings))
        newest_s: float | None = None
        for service, hub in hubs_of(settings).items():
            client = await clients.keep(await clients.onlooker(hub, _ONLOOKER_GROUP))
            try:
                seen = await look(client, blobs, settings)
            except StylestreamError as error:
                yield Finding(
                    f"hub {hub}: {error}",
                    "make the hub, or grant the role Azure Event Hubs Data Receiver on it",
                )
                continue
            newest_s = seen.newest_s if service == "splitter" else newest_s
            for finding in judge_hub(service, seen):
                yield finding
        if newest_s is not None:
            yield await _uploads(blobs, settings, newest_s)
        yield await _letters(blobs, settings)


def hubs_of(settings: ServiceSettings) -> dict[str, str]:
    """Return the hubs by the service that reads each."""
    return {
        "splitter": settings.uploads_hub,
        "stylizer": settings.frames_hub,
        "assembler": settings.segments_hub,
    }


def containers_of(settings: ServiceSettings) -> list[str]:
    """Return the containers that the services need."""
    return [
        str(name)
        for field in type(settings).model_fields
        if field.endswith("_container") and (name := getattr(settings, field))
    ]


def judge_clock(skew_s: float) -> Finding:
    """Say whether this machine and storage agree on the time."""
    what = f"clock: {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} storage's"
    if abs(skew_s) <= _SKEW_S:
        return Finding(what)
    return Finding(what, "set this machine's clock: signed links and sign-ins are refused")


def judge_hub(service: str, seen: Backlog) -> Iterator[Finding]:
    """Say what is wrong with a hub that ``service`` reads; or that nothing is."""
    troubles = list(_troubles(service, seen))
    yield from troubles
    if not troubles:
        yield Finding(
            f"hub {seen.hub}: {len(seen.partitions)} partitions, {seen.owned} read by the "
            f"{service}, {seen.waiting} events wait"
        )


def _troubles(service: str, seen: Backlog) -> Iterator[Finding]:
    if seen.hub != seen.hub.lower():
        yield Finding(
            f"hub {seen.hub}: its name is not in lower case",
            "make it anew in lower case: the autoscaler looks for positions under the name as it "
            "is written, and they are kept in lower case",
        )
    if missing := [one.partition.id for one in seen.partitions if one.position is None]:
        yield Finding(
            f"hub {seen.hub}: no position for partitions {', '.join(missing)}",
            "run 'python -m shared.service.checkpoints', or start the services: without a "
            "position the autoscaler can take waiting events for none",
        )
    if beyond := [
        one.partition.id for one in seen.partitions if (one.position or -1) > one.partition.last
    ]:
        yield Finding(
            f"hub {seen.hub}: the positions of partitions {', '.join(beyond)} are an earlier hub's",
            f"restart the {service}, which puts them right",
        )
    if seen.expired:
        yield Finding(
            f"hub {seen.hub}: {seen.expired} events were dropped before the {service} read them",
            "see StylestreamEventsExpired in docs/runbook.md",
        )
    if seen.waiting and not seen.owned:
        yield Finding(
            f"hub {seen.hub}: {seen.waiting} events wait, and no {service} reads them",
            f"start a {service}, or see why the autoscaler does not: docs/runbook.md",
        )


async def _container(blobs: BlobStore, name: str) -> Finding:
    try:
        await blobs.reach(name)
    except StylestreamError as error:
        return Finding(f"container {name}: {error}", "make it, or grant a role on it")
    return Finding(f"container {name}: answers")


async def _skew_s(clients: AzureClients, settings: ServiceSettings) -> float:
    """Return how far this machine's clock is ahead of storage's."""
    heard: list[float] = []

    def note(response: Any) -> None:
        said = parsedate_to_datetime(response.http_response.headers["Date"])
        heard.append((datetime.now(UTC) - said).total_seconds())

    container = (await clients.blobs()).get_container_client(settings.frames_container)
    # Whoever refuses us tells the time as well.
    with contextlib.suppress(AzureError):
        await container.get_container_properties(raw_response_hook=note)
    return heard[0] if heard else 0.0


async def _uploads(blobs: BlobStore, settings: ServiceSettings, newest_s: float) -> Finding:
    waiting = 0
    try:
        async for blob in blobs.items(settings.uploads_container):
            late = time.time() - blob.created_s > _ANNOUNCED_WITHIN_S
            waiting += bool(blob.size) and late and blob.created_s > newest_s
    except StylestreamError as error:
        return Finding(f"uploads: {error}", "grant the role Storage Blob Data Reader on them")
    if waiting:
        return Finding(
            f"uploads: {waiting} are younger than the newest event in the hub",
            "mend Event Grid's subscription: see StylestreamUploadsUnannounced in docs/runbook.md",
        )
    return Finding("uploads: all are announced")


async def _letters(blobs: BlobStore, settings: ServiceSettings) -> Finding:
    try:
        names = [name async for name in blobs.names(settings.dead_letters_container)]
    except StylestreamError as error:
        return Finding(f"dead letters: {error}", "grant the role Storage Blob Data Reader on them")
    if names:
        return Finding(
            f"dead letters: {len(names)} events were laid aside",
            "read them with 'stylestream dead-letters'",
        )
    return Finding("dead letters: none")
