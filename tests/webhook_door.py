"""A webhook in front of a real hub, and the events in that hub."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient, PartitionContext
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from local.azurite import connection_string
from shared.hubs.sender import Sender
from splitter.intake.acceptance import Acceptance
from splitter.intake.forwarding import Intake
from splitter.intake.webhook import Webhook
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings

ACCOUNT = "https://acc.blob.core.windows.net"
SECRET, SECRET_BEFORE = "s3cret-s3cret-s3cret", "before-before-before"
DEADLINE_S = 60.0
NOWHERE = (
    "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;"
    "UseDevelopmentEmulator=true;"
)


class Hub:
    """The hub of uploads, as a reader from its beginning sees it."""

    def __init__(self, producer: EventHubProducerClient, partitions: list[str]) -> None:
        self.producer = producer
        self._partitions = partitions
        self._bodies: list[str] = []
        self._arrived = asyncio.Condition()

    async def on_event(self, _context: PartitionContext, event: EventData) -> None:
        async with self._arrived:
            self._bodies.append(event.body_as_str())
            self._arrived.notify_all()

    async def content(self) -> list[str]:
        """Return all events that are in the hub now: those before a last one that is sent."""
        marks = set()
        for partition in self._partitions:
            # An event like any other, so that splitters of later tests have no trouble with it.
            event = {"specversion": "1.0", "type": "mark", "source": "tests", "data": {}}
            mark = json.dumps({**event, "id": uuid.uuid4().hex})
            await self.producer.send_batch([EventData(mark)], partition_id=partition)
            marks.add(mark)
        async with asyncio.timeout(DEADLINE_S), self._arrived:
            await self._arrived.wait_for(lambda: marks <= {*self._bodies})
        return self._bodies


@dataclass
class Door:
    """An open webhook for uploads into a container of its own, and the hub behind it."""

    container: str
    address: str
    session: aiohttp.ClientSession
    hub: Hub
    registry: CollectorRegistry

    def counted(self) -> dict[str, float]:
        """Return how many deliveries came to which outcome, of those that did."""
        return {
            sample.labels["outcome"]: sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "splitter_webhook_deliveries_total" and sample.value
        }

    async def post(
        self, content: object, *, secret: str | None = SECRET, query: str = "", **headers: str
    ) -> tuple[int, str]:
        """Deliver; return the answer's status and body."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if secret:
            headers["X-Webhook-Key"] = secret
        async with self.session.post(self.address + query, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def options(self, **headers: str) -> aiohttp.ClientResponse:
        """Ask for permission to deliver."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.options(self.address, headers=named) as answer:
            return answer

    async def in_hub(self) -> list[dict[str, Any]]:
        """Return the events about this container that are in the hub now."""
        events = map(json.loads, await self.hub.content())
        return [event for event in events if self.container in str(event)]

    def cloud_event(self, name: str = "a.mp4", **changes: Any) -> dict[str, Any]:
        """Return an upload's event in the CloudEvents schema."""
        return {
            "specversion": "1.0",
            "type": "Microsoft.Storage.BlobCreated",
            "source": "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/acc",
            "id": uuid.uuid4().hex,
            "time": "2026-11-18T15:13:39.4589254Z",
            **self._told(name),
            **changes,
        }

    def grid_event(self, name: str = "a.mp4", **changes: Any) -> dict[str, Any]:
        """Return an upload's event in Event Grid's own schema."""
        return {
            "topic": "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/acc",
            "eventType": "Microsoft.Storage.BlobCreated",
            "id": uuid.uuid4().hex,
            "eventTime": "2026-11-18T15:13:39.4589254Z",
            "dataVersion": "",
            "metadataVersion": "1",
            **self._told(name),
            **changes,
        }

    def _told(self, name: str) -> dict[str, Any]:
        return {
            "subject": f"/blobServices/default/containers/{self.container}/blobs/{name}",
            "data": {
                "api": "PutBlob",
                "eTag": "0x8D4BCC2E4835CD0",
                "url": f"{ACCOUNT}/{self.container}/{name}",
            },
        }


@asynccontextmanager
async def open_door(hub: Hub, intake: Intake) -> AsyncIterator[Door]:
    """Open a webhook in front of a hub."""
    container = f"u{uuid.uuid4().hex}"
    chosen = SplitterSettings(
        storage_connection_string=SecretStr(connection_string(1)),
        eventhub_connection_string=SecretStr(NOWHERE.format(port=1)),
        uploads_container=container,
        upload_suffixes=".mp4,.mov",
        webhook_port=0,
        webhook_host="127.0.0.1",
        webhook_secret=SecretStr(f"{SECRET_BEFORE}, {SECRET}"),
    )
    registry = CollectorRegistry()
    metrics = SplitterMetrics(registry)
    async with (
        Webhook(chosen, Acceptance(chosen, ACCOUNT), intake, metrics) as webhook,
        aiohttp.ClientSession() as session,
    ):
        yield Door(container, f"http://127.0.0.1:{webhook.port}/events", session, hub, registry)


def through(client: EventHubProducerClient) -> Sender:
    async def connect() -> EventHubProducerClient:
        return client

    return Sender("uploads", connect, DEADLINE_S)
