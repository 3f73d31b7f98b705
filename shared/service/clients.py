"""Azure clients made from settings: the one place that knows how the services sign in."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from azure.core.credentials import AzureKeyCredential
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import BlobServiceClient
from pydantic import SecretStr

from shared.hubs.arrivals import deliver_immediately
from shared.hubs.connections import connection_options, namespace_in
from shared.hubs.positions import ForwardCheckpointStore
from shared.hubs.publisher import Publisher
from shared.hubs.sender import Sender
from shared.hubs.sharing import BeginHandover, SharedOwnership
from shared.service.settings import ServiceSettings, StorageSettings
from shared.storage.accounts import StorageAccounts, environment_options, storage_client
from shared.storage.blobs import BlobStore
from shared.storage.last_answer import LastAnswer, StorageProbe

if TYPE_CHECKING:
    # Slow to import, and stacks on one machine do not need them.
    from azure.eventgrid.aio import EventGridPublisherClient
    from azure.identity.aio import DefaultAzureCredential

T = TypeVar("T")

_HUB_RETRY: dict[str, Any] = {
    "retry_total": 6,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 10,
}
# Announcements are retried by their sender; the SDK's own policy would take minutes.
_TOPIC_RETRY: dict[str, Any] = {
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "connection_timeout": 10,
    "read_timeout": 30,
}


class StorageClients:
    """Opens one service's storage; leaving the context closes all that is open, latest first."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._credential: DefaultAzureCredential | None = None
        self._own: BlobServiceClient | None = None
        self._media: BlobServiceClient | None = None
        self._last_answers: dict[str, LastAnswer] = {}
        """By the URL of an account."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def keep(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter ``context``, and leave it when the clients are closed."""
        return await self._stack.enter_async_context(context)

    async def storage(self) -> StorageAccounts:
        """Open both storage accounts, or the one that serves as both."""
        return StorageAccounts(
            await self.blobs(), await self.media_blobs(), self._settings.media_containers
        )

    async def blobs(self) -> BlobServiceClient:
        """Open the pipeline's own storage account."""
        if self._own is None:
            settings = self._settings
            self._own = await self._account(
                settings.storage_connection_string, settings.storage_account_url
            )
        return self._own

    async def media_blobs(self) -> BlobServiceClient:
        """Open the users' storage account."""
        account = self._settings.media_account
        if account == (
            self._settings.storage_connection_string,
            self._settings.storage_account_url,
        ):
            return await self.blobs()
        if self._media is None:
            self._media = await self._account(*account)
        return self._media

    async def probe(self, blobs: BlobStore, container: str) -> StorageProbe:
        """Return a probe that asks, through ``blobs``, the account that holds ``container``."""
        last = await self.last_answer(container)
        return StorageProbe(blobs, container, last, self._settings.probe_interval_s)

    async def last_answer(self, container: str) -> LastAnswer:
        """Return the last answer of the account of ``container``; it is kept up to date."""
        users = container in self._settings.media_containers
        account = await (self.media_blobs() if users else self.blobs())
        return self._last_answers[account.url]

    async def _account(self, connection: SecretStr | None, url: str | None) -> BlobServiceClient:
        credential = None if connection else await self._sign_in()
        secret = connection.get_secret_value() if connection else None
        last = LastAnswer()
        client = storage_client(secret, url, credential, on_response=last.note)
        self._last_answers[client.url] = last
        return await self.keep(client)

    async def _sign_in(self) -> DefaultAzureCredential:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential

            self._credential = await self._stack.enter_async_context(DefaultAzureCredential())
        return self._credential


class AzureClients(StorageClients):
    """Opens storage and hubs for one service.

    Raises:
        ConfigurationError: from every method, when a connection string is malformed.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self._hubs = settings
        self._stores: dict[str, tuple[ForwardCheckpointStore, BlobCheckpointStore]] = {}
        """By container: what keeps the positions in it, and what writes the ownership."""

    async def topic(self, endpoint: str, key: SecretStr | None) -> EventGridPublisherClient:
        """Open a sender to an Event Grid topic, with its key or by signing in."""
        from azure.eventgrid.aio import EventGridPublisherClient

        credential = AzureKeyCredential(key.get_secret_value()) if key else await self._sign_in()
        options = _TOPIC_RETRY | environment_options(endpoint)
        return await self.keep(EventGridPublisherClient(endpoint, credential, **options))

    async def sender(self, hub: str) -> Sender:
        """Open a sender to ``hub`` that lives as long as these clients."""
        connect = functools.partial(self.producer, hub)
        return await self.keep(Sender(hub, connect, self._hubs.send_deadline_s))

    async def publisher(self, hub: str) -> Publisher:
        """Open a publisher of messages to ``hub``."""
        return Publisher(await self.sender(hub))

    async def producer(self, hub: str) -> EventHubProducerClient:
        """Return a new client that sends to ``hub``; the caller closes it."""
        if connection := self._hub_connection():
            return EventHubProducerClient.from_connection_string(
                connection, eventhub_name=hub, **_hub_options()
            )
        assert self._hubs.eventhub_fully_qualified_namespace
        return EventHubProducerClient(
            self._hubs.eventhub_fully_qualified_namespace,
            hub,
            await self._sign_in(),
            **_hub_options(),
        )

    async def consumer(
        self, hub: str, begin_handover: BeginHandover | None = None
    ) -> EventHubConsumerClient:
        """Return a new load-balanced reader of ``hub``; the caller closes it.

        With ``begin_handover``, partitions are handed over to newcomers instead of taken by them.
        """
        settings = self._hubs
        positions, claims = await self._checkpoint_stores(hub)
        blobs, container = BlobStore(await self.blobs()), settings.checkpoints_container(hub)
        options: dict[str, Any] = {
            "checkpoint_store": SharedOwnership(
                positions, claims, blobs, container, settings.ownership_expiry_s, begin_handover
            ),
            "load_balancing_interval": settings.load_balancing_interval_s,
            "partition_ownership_expiration_interval": settings.ownership_expiry_s,
        }
        return deliver_immediately(await self._reader(hub, settings.consumer_group, **options))

    async def onlooker(self, hub: str, group: str) -> EventHubConsumerClient:
        """Return a new client that reads ``hub`` without owning partitions; the caller closes it.

        To receive events, ``group`` must not be the services' own: there, an owner of a partition
        excludes all other readers.
        """
        return await self._reader(hub, group)

    def _hub_connection(self) -> str | None:
        """Return the hubs' connection string; None if there is none, and services sign in."""
        if (connection := self._hubs.eventhub_connection_string) is None:
            return None
        namespace_in(connection.get_secret_value())  # raises unless it is one
        return connection.get_secret_value()

    async def _reader(self, hub: str, group: str, **options: Any) -> EventHubConsumerClient:
        settings, options = self._hubs, {**options, **_hub_options()}
        if connection := self._hub_connection():
            return EventHubConsumerClient.from_connection_string(
                connection, group, eventhub_name=hub, **options
            )
        assert settings.eventhub_fully_qualified_namespace
        return EventHubConsumerClient(
            settings.eventhub_fully_qualified_namespace,
            hub,
            group,
            await self._sign_in(),
            **options,
        )

    async def _checkpoint_stores(
        self, hub: str
    ) -> tuple[ForwardCheckpointStore, BlobCheckpointStore]:
        settings = self._hubs
        container = settings.checkpoints_container(hub)
        if container in self._stores:
            return self._stores[container]
        account = await self.blobs()
        options = environment_options(account.url)
        if connection := settings.storage_connection_string:
            store = BlobCheckpointStore.from_connection_string(
                connection.get_secret_value(), container, **options
            )
        else:
            assert settings.storage_account_url
            credential = await self._sign_in()
            store = BlobCheckpointStore(
                settings.storage_account_url, container, credential=credential, **options
            )
        await self._stack.enter_async_context(store)
        positions = ForwardCheckpointStore(BlobStore(account), container)
        self._stores[container] = positions, store
        return self._stores[container]


def _hub_options() -> dict[str, Any]:
    return {**connection_options(), **_HUB_RETRY}
