"""Azure clients made from settings: the one place that knows how the services sign in."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Self

from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from shared.settings import ServiceSettings
from shared.storage import storage_client

_EVENTHUB_RETRY: dict[str, Any] = {
    "retry_total": 6,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 10,
}


class AzureClients:
    """Opens clients for one service; leaving the context closes all of them, latest first."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._credential: DefaultAzureCredential | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def blobs(self) -> BlobServiceClient:
        """Open the storage account."""
        settings = self._settings
        connection = settings.storage_connection_string
        client = storage_client(
            connection.get_secret_value() if connection else None,
            settings.storage_account_url,
            None if connection else await self._sign_in(),
        )
        return await self._stack.enter_async_context(client)

    async def producer(self, hub: str) -> EventHubProducerClient:
        """Open a sender to ``hub``."""
        if connection := self._settings.eventhub_connection_string:
            client = EventHubProducerClient.from_connection_string(
                connection.get_secret_value(), eventhub_name=hub, **_EVENTHUB_RETRY
            )
        else:
            assert self._settings.eventhub_fully_qualified_namespace
            client = EventHubProducerClient(
                self._settings.eventhub_fully_qualified_namespace,
                hub,
                await self._sign_in(),
                **_EVENTHUB_RETRY,
            )
        await self._stack.enter_async_context(client)
        return client

    async def consumer(self, hub: str) -> EventHubConsumerClient:
        """Open a load-balanced reader of ``hub``, its position in the checkpoint container."""
        settings = self._settings
        options: dict[str, Any] = {
            "checkpoint_store": await self._checkpoint_store(),
            "load_balancing_interval": settings.load_balancing_interval_s,
            "partition_ownership_expiration_interval": settings.ownership_expiry_s,
            **_EVENTHUB_RETRY,
        }
        if connection := settings.eventhub_connection_string:
            client = EventHubConsumerClient.from_connection_string(
                connection.get_secret_value(), settings.consumer_group, eventhub_name=hub, **options
            )
        else:
            assert settings.eventhub_fully_qualified_namespace
            client = EventHubConsumerClient(
                settings.eventhub_fully_qualified_namespace,
                hub,
                settings.consumer_group,
                await self._sign_in(),
                **options,
            )
        await self._stack.enter_async_context(client)
        return client

    async def _checkpoint_store(self) -> BlobCheckpointStore:
        settings = self._settings
        container = settings.checkpoints_container
        if connection := settings.storage_connection_string:
            store = BlobCheckpointStore.from_connection_string(
                connection.get_secret_value(), container
            )
        else:
            assert settings.storage_account_url
            store = BlobCheckpointStore(
                settings.storage_account_url, container, credential=await self._sign_in()
            )
        await self._stack.enter_async_context(store)
        return store

    async def _sign_in(self) -> DefaultAzureCredential:
        if self._credential is None:
            self._credential = await self._stack.enter_async_context(DefaultAzureCredential())
        return self._credential
