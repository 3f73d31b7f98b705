"""Stands in for Event Grid on one machine: an upload becomes a ``BlobCreated`` event.

The uploads container is listed, and each new blob version (name and ETag) gets one event in the
hub, in the form in which Event Grid delivers events to an event hub. So any tool that can upload a
blob can start a job. It is listed whenever storage says that it was written to (see
`local.write_reports`); where storage cannot say so, a few times a second.

What was seen is kept in memory only: after a restart the blobs that are still there are announced
again, with the same event ids, and the splitter recognises their jobs. Nothing is lost, because a
blob counts as seen only once its event is acknowledged.

A name that storage cannot list (see `shared.storage.listings`) hides all uploads. So a persistent
refusal is reported, with the position of the blob that has to be deleted.

Sources: "Azure Blob Storage as an Event Grid source" (event schema), "Event hub as an event handler
for Azure Event Grid events" (message headers), CloudEvents 1.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from shared.contracts.errors import first_line
from shared.hubs.connections import connection_options
from shared.storage.accounts import environment_options
from shared.storage.listings import unlistable
from shared.tasks.waits import is_cancelled, is_set_within
from shared.telemetry.escapes import escaped

EVENT_TYPE = "Microsoft.Storage.BlobCreated"
SUBSCRIPTION = "uploads"
ACCOUNT_RESOURCE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Storage/storageAccounts/{account}"
)

LISTING_SHARE = 0.1
"""At most this share of the time is spent listing, unless pauses would become too long."""

LONGEST_PAUSE_S = 5.0
"""After a look that took long, or while storage or broker is unavailable."""

UNTOLD_S = 30.0
"""Between two looks where storage says that something was uploaded, but no longer does."""

DEADLINE_S = 30.0
"""For one listing or one send: what takes longer counts as lost and is repeated."""

FAILURES: Final = 3
"""Looks that fail in a row before that is reported, so that a brief outage is not."""


Report = Callable[[str | None], object]
"""Receives what keeps uploads from being announced, and None when that is over."""

OUTAGES = (AzureError, EventHubError, TimeoutError)

_log = logging.getLogger(__name__)


class UploadWatcher:
    """Announces the blobs of one container in one hub, each version at least once."""

    def __init__(
        self,
        storage_connection_string: str,
        eventhub_connection_string: str,
        *,
        uploads_container: str = "uploads",
        hub: str = "uploads",
        interval_s: float = 0.25,
        uploaded: asyncio.Event | None = None,
        report: Report = lambda _problem: None,
    ) -> None:
        self._storage = storage_connection_string
        self._eventhub = eventhub_connection_string
        self._container = uploads_container
        self._hub = hub
        self._interval_s = interval_s
        self._uploaded = uploaded
        self._report = report
        self._seen: set[tuple[str, str]] = set()
        self._announced = b""
        """Digest of the last listing whose blobs are all announced."""

    async def run(self) -> None:
        """Watch until cancelled; outages of storage or broker are waited out."""
        place = self._storage, self._container
        container = ContainerClient.from_connection_string(
            *place,
            # The SDK's retries would hide an outage for half a minute; ours are the pause below.
            retry_total=0,
            **environment_options(ContainerClient.from_connection_string(*place).url),
        )
        producer = EventHubProducerClient.from_connection_string(
            self._eventhub, eventhub_name=self._hub, retry_total=0, **connection_options()
        )
        async with container, producer:
            await self._connect(producer)
            failures = 0
            while not is_cancelled():
                try:
                    if self._uploaded is not None:
                        self._uploaded.clear()  # whatever comes from here on needs another look
                    pause_s = await self._scan(container, producer)
                except OUTAGES as error:
                    failures += 1
                    if failures == 1:
                        # It often passes by itself, as on a machine that was suspended.
                        _log.info("uploads were not looked at: %s", first_line(error))
                    if failures == FAILURES:
                        problem = await problem_of(error, container)
                        _log.warning("%s", problem)
                        self._report(problem)
                    await asyncio.sleep(
                        min(LONGEST_PAUSE_S, self._interval_s * 2 ** min(failures, 10))
                    )
                else:
                    failures = 0
                    self._report(None)
                    await self._pause(pause_s)

    async def _pause(self, pause_s: float) -> None:
        """Wait for ``pause_s`` and, where storage says so, until something was uploaded."""
        await asyncio.sleep(pause_s)
        if self._uploaded is not None and not is_cancelled():
            await is_set_within(self._uploaded, UNTOLD_S)

    async def _connect(self, producer: EventHubProducerClient) -> None:
        """Open the connection ahead of time: that takes longer than anything after it."""
        with contextlib.suppress(*OUTAGES):
            async with asyncio.timeout(DEADLINE_S):
                await producer.create_batch()

    async def _scan(self, container: ContainerClient, producer: EventHubProducerClient) -> float:
        """List and announce once; return the seconds until the next scan."""
        started = time.monotonic()
        async with asyncio.timeout(DEADLINE_S):
            if await _glance(container) == self._announced:
                return pause_after(time.monotonic() - started, self._interval_s)
            listed = _Digest()
            blobs = [blob async for blob in container.list_blobs(raw_response_hook=listed.note)]
        pause_s = pause_after(time.monotonic() - started, self._interval_s)
        versions = {_version(blob): blob for blob in blobs}
        # A version that is gone never comes back, so only existing ones have to be remembered.
        self._seen &= versions.keys()
        for version, blob in versions.items():
            if version in self._seen:
                continue
            url = container.get_blob_client(blob.name).url
            event = blob_created(blob, url, container.account_name or "")
            async with asyncio.timeout(DEADLINE_S):
                await producer.send_event(event)
            self._seen.add(version)
            _log.info("announced upload %s", blob.name)
        self._announced = listed.digest()
        return pause_s


class _Digest:
    """Digests the raw pages of a listing: names, versions and all other properties."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b()

    def note(self, answer: Any) -> None:
        """Add a page, by the SDK's response to its request."""
        self._hash.update(answer.http_response.content)

    def digest(self) -> bytes:
        """Return the digest of the pages so far."""
        return self._hash.digest()


async def _glance(container: ContainerClient) -> bytes:
    """Digest a listing without making objects of its blobs, which would cost most of the time."""
    listed = _Digest()
    async for _name in container.list_blob_names(raw_response_hook=listed.note):
        pass
    return listed.digest()


async def problem_of(error: Exception, container: ContainerClient) -> str:
    """Return a sentence about looks that keep failing with ``error``, and the remedy."""
    place = await unlistable(container, error)
    if place is None:
        return f"new uploads are not noticed: {escaped(first_line(error))}"
    return (
        "new uploads are not noticed, because storage cannot list a blob whose name "
        f"contains a control character; it {place}: delete it"
    )


def pause_after(listing_s: float, interval_s: float) -> float:
    """Return how long to pause after a listing, which many blobs or a busy storage slow down."""
    return min(LONGEST_PAUSE_S, max(interval_s, listing_s * (1 / LISTING_SHARE - 1)))


def blob_created(blob: BlobProperties, url: str, account: str) -> EventData:
    """Build the message that Event Grid writes into an event hub for a blob that was written.

    The id is a function of the blob's version, so that a repeated event can be told from a new one.
    The sequencer is the time of the call, since a listing has times in whole seconds, too coarse to
    order versions.
    """
    name, etag = _version(blob)
    event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{url}#{etag}"))
    modified = blob.last_modified or datetime.now(UTC)
    data = {
        "api": "CopyBlob" if blob.copy and blob.copy.id else "PutBlob",
        "clientRequestId": str(uuid.uuid5(uuid.NAMESPACE_OID, event_id)),
        "requestId": event_id,
        "eTag": etag,
        "contentType": blob.content_settings.content_type or "application/octet-stream",
        "contentLength": blob.size,
        "blobType": str(getattr(blob.blob_type, "value", blob.blob_type)),
        "accessTier": str(blob.blob_tier or "Default"),
        "url": url,
        "sequencer": f"{time.time_ns():048x}",
        "storageDiagnostics": {"batchId": str(uuid.uuid5(uuid.NAMESPACE_X500, event_id))},
    }
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": ACCOUNT_RESOURCE.format(account=account),
        "type": EVENT_TYPE,
        "subject": f"/blobServices/default/containers/{blob.container}/blobs/{name}",
        "time": modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "data": data,
    }
    message = EventData(json.dumps(event, ensure_ascii=False).encode())
    message.properties = {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": SUBSCRIPTION.upper(),
        "aeg-delivery-count": "0",
        "aeg-output-event-id": event_id,
        "aeg-metadata-version": "1.0",
    }
    return message


def _version(blob: BlobProperties) -> tuple[str, str]:
    return str(blob.name), str(blob.etag or "").strip('"')
