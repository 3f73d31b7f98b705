"""Checks a deployment, and says in sentences what is wrong with it and how to fix it.

It checks what the services themselves depend on, with the rights of the caller: storage and its
containers, clocks, hubs, positions, readers, and whether uploads are announced. It changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import ContainerClient
from prometheus_client.parser import text_string_to_metric_families

from client.dead_letters import find_settings, find_stack, reach_storage
from shared.contracts.errors import DeniedError, NoContainerError, StylestreamError
from shared.service import rights
from shared.service.backlog import Backlog, measure_backlog
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings
from shared.storage.answers import failure
from shared.storage.blobs import BlobStore
from shared.storage.listings import unlistable
from shared.telemetry.metrics import BUILD_INFO
from shared.telemetry.version import version

# The clock skew that Entra and signed links tolerate.
_SKEW_S: Final = 300.0
# How long an upload's announcement may take, with a margin.
_ANNOUNCED_WITHIN_S: Final = 120.0
_ONLOOKER_GROUP: Final = "$Default"
_READER: Final = f"the role {rights.READER}"
_METRICS_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, and the remedy if something is wrong with it."""

    what: str
    remedy: str | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.remedy is None


async def diagnose(directory: Path | None = None) -> AsyncIterator[Finding]:
    """Check a stack, the environment's deployment, or the default stack.

    Raises:
        ConfigurationError: nothing says where storage and hubs are.
        TransientError: storage cannot be reached at all.
    """
    settings, stack = find_settings(directory), find_stack(directory)
    await reach_storage(settings)
    if stack is not None:
        yield judge_versions(await _versions(stack.endpoints), version())
    async with AzureClients(settings) as clients:
        accounts = await clients.storage()
        blobs = BlobStore(accounts)
        for container in settings.containers:
            yield await _container(blobs, container)
        yield judge_clock((await clients.last_answer(settings.frames_container)).ahead_s)
        newest_s: float | None = None
        readers: dict[str, frozenset[str]] = {}
        for service, hub in settings.hubs.items():
            client = await clients.keep(await clients.onlooker(hub, _ONLOOKER_GROUP))
            try:
                seen = await measure_backlog(client, blobs, settings)
            except StylestreamError as error:
                yield Finding(
                    f"hub {hub}: {error}",
                    "create the hub, or grant the role Azure Event Hubs Data Receiver on it",
                )
                continue
            newest_s = seen.newest_s if service == "splitter" else newest_s
            readers[service] = seen.versions
            for finding in judge_hub(service, seen):
                yield finding
        if stack is None:
            for finding in judge_readers(readers):
                yield finding
        if newest_s is not None:
            uploads = accounts.get_container_client(settings.uploads_container)
            yield await _uploads(uploads, newest_s)
        yield await _letters(blobs, settings)


async def diagnose_rights(directory: Path | None, service: str) -> AsyncIterator[Finding]:
    """Check whether the caller has the rights that ``service`` needs.

    Raises:
        ConfigurationError: nothing says where storage and hubs are.
    """
    async for right in rights.rights(find_settings(directory), service):
        if right.problem is None:
            remedy = None
        elif right.lacking:
            remedy = f"grant {right.role} on that alone; it takes up to ten minutes to take effect"
        else:
            remedy = "check that it exists and can be reached from this machine, and try again"
        yield Finding(rights.describe(right), remedy)


def judge_clock(skew_s: float) -> Finding:
    """Say whether this machine and storage agree on the time."""
    what = f"clock: {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} storage's"
    if abs(skew_s) <= _SKEW_S:
        return Finding(what)
    return Finding(what, "correct this machine's clock: signed links and sign-ins are refused")


def judge_versions(found: Mapping[str, str], ours: str) -> Finding:
    """Say whether all services, by name, have the version of this command."""
    if set(found.values()) <= {ours}:
        return Finding(f"versions: {ours} in {len(found)} services, and here")
    listed = ", ".join(f"{service} {one}" for service, one in sorted(found.items()))
    return Finding(
        f"versions: {listed}; this command is {ours}",
        "stop the stack and start it again, so that all services have the same version",
    )


def judge_readers(found: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    """Say whether all current readers, by service, have one version; nothing without readers."""
    reading = {service: versions for service, versions in found.items() if versions}
    if not reading:
        return
    listed = ", ".join(
        f"{service} {' and '.join(sorted(one or 'unknown' for one in versions))}"
        for service, versions in reading.items()
    )
    alike = len(frozenset[str]().union(*reading.values())) == 1
    yield Finding(
        f"versions: {listed}",
        None
        if alike
        else (
            "check whether a deployment is still in progress or stuck: kubectl -n stylestream "
            "rollout status deployment/SERVICE"
        ),
    )


async def _versions(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the services that answer, by their names in the stack."""
    found = {}
    async with aiohttp.ClientSession(timeout=_METRICS_TIMEOUT) as session:
        for name, address in endpoints.items():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
                async with session.get(f"{address}/metrics") as answer:
                    text = await answer.text()
                for family in text_string_to_metric_families(text):
                    if family.name == BUILD_INFO:
                        found[name] = family.samples[0].labels["version"]
    return found


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
            "recreate it in lower case: the autoscaler looks for positions under the name "
            "as it is written, and they are stored in lower case",
        )
    if missing := [one.partition.id for one in seen.partitions if one.position is None]:
        yield Finding(
            f"hub {seen.hub}: no position for partitions {', '.join(missing)}",
            "run 'python -m shared.service.checkpoints', or start the services: without a "
            "position the autoscaler may not see waiting events",
        )
    if beyond := [
        one.partition.id for one in seen.partitions if (one.position or -1) > one.partition.last
    ]:
        yield Finding(
            f"hub {seen.hub}: the positions of partitions {', '.join(beyond)} are those of "
            "an earlier hub",
            f"restart the {service}, which corrects them",
        )
    if seen.expired:
        yield Finding(
            f"hub {seen.hub}: {seen.expired} events were dropped before the {service} read them",
            "see StylestreamEventsExpired in docs/runbook.md",
        )
    if seen.waiting and not seen.owned:
        yield Finding(
            f"hub {seen.hub}: {seen.waiting} events wait, and no {service} reads them",
            f"start a {service}, or find out why the autoscaler does not: docs/runbook.md",
        )


async def _container(blobs: BlobStore, name: str) -> Finding:
    try:
        await blobs.reach(name)
    except StylestreamError as error:
        return Finding(f"container {name}: {error}", _remedy(error, "a role"))
    return Finding(f"container {name}: answers")


def _remedy(error: StylestreamError, role: str) -> str:
    """Return the remedy for a container that cannot be read; ``role`` is what reading requires."""
    match error:
        case DeniedError():
            return f"grant {role} on it"
        case NoContainerError():
            return "create it"
        case _:
            return "check that storage can be reached from this machine, and try again"


async def _uploads(container: ContainerClient, newest_s: float) -> Finding:
    waiting = 0
    try:
        # The caller sits at a prompt, and one blob's name may make every attempt fail.
        async for blob in container.list_blobs(retry_total=1):
            created_s = blob.creation_time.timestamp()
            late = time.time() - created_s > _ANNOUNCED_WITHIN_S
            waiting += bool(blob.size) and late and created_s > newest_s
    except AzureError as error:
        if place := await unlistable(container, error):
            return Finding(
                "uploads: storage cannot list them, so new ones are not noticed: the name "
                "of a blob contains a control character",
                f"delete that blob; it {place}",
            )
        failed = failure("list", container.container_name, "", error)
        return Finding(f"uploads: {failed}", _remedy(failed, _READER))
    if waiting:
        return Finding(
            f"uploads: {waiting} are younger than the newest event in the hub",
            "repair Event Grid's subscription: see StylestreamUploadsUnannounced in "
            "docs/runbook.md",
        )
    return Finding("uploads: all are announced")


async def _letters(blobs: BlobStore, settings: ServiceSettings) -> Finding:
    try:
        names = [name async for name in blobs.names(settings.dead_letters_container)]
    except StylestreamError as error:
        return Finding(f"dead letters: {error}", _remedy(error, _READER))
    if names:
        return Finding(
            f"dead letters: {len(names)} events could not be processed",
            "read them with 'stylestream dead-letters'",
        )
    return Finding("dead letters: none")
