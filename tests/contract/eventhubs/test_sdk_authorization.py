"""Who is admitted, and which errors the SDK's users get otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.eventhub import EventData
from azure.eventhub._pyamqp.utils import generate_sas_token
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from local.eventhubs import EventHubs, HubSpec

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def strict(tmp_path: Path) -> AsyncIterator[str]:
    """A broker with its own policy and declared consumer groups."""
    spec = HubSpec("frames", 1, frozenset({"painters"}))
    async with EventHubs(tmp_path, [spec], policy="team a/ß", key="k+/= y") as server:
        yield f"{server.connection_string}EntityPath=frames"


async def test_a_policy_with_odd_characters_is_let_in(strict: str, sdk: Any) -> None:
    await sdk.send(strict, ["hello"])
    assert len(await sdk.receive(strict, 1, group="Painters")) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [("SAS_KEY_VALUE", "WRONG"), ("RootManageSharedAccessKey", "Nobody")],
    ids=["wrong key", "unknown policy"],
)
async def test_a_wrong_key_and_an_unknown_policy_are_refused(
    hubs: Any, sdk: Any, old: str, new: str
) -> None:
    connection = hubs.connection_string.replace(old, new)
    producer = sdk.producer(connection)
    with pytest.raises(AuthenticationError):
        await producer.send_event(EventData("x"), partition_id="0")
    with pytest.raises(AuthenticationError):
        await sdk.receive(connection, 1)
    # And nothing was stored
    good = sdk.producer(hubs.connection_string)
    assert (await good.get_partition_properties("0"))["is_empty"]


async def test_an_unknown_hub_is_refused(hubs: Any, sdk: Any) -> None:
    producer = sdk.producer(hubs.connection_string.replace(hubs.name, "nowhere"))
    with pytest.raises(EventHubError):
        await producer.send_event(EventData("x"))
    with pytest.raises(EventHubError):
        await producer.get_eventhub_properties()


async def test_an_unknown_partition_is_refused(hubs: Any, sdk: Any) -> None:
    producer = sdk.producer(hubs.connection_string)
    with pytest.raises(EventHubError, match="Invalid partition"):
        await producer.send_event(EventData("x"), partition_id="9")
    with pytest.raises(EventHubError, match="404"):
        await producer.get_partition_properties("9")
    with pytest.raises(ValueError, match="Wrong partition"):
        await sdk.receive(hubs.connection_string, 1, partition="9")


async def test_an_unknown_consumer_group_is_refused_if_groups_are_declared(
    strict: str, sdk: Any
) -> None:
    with pytest.raises(EventHubError, match=r"consumer group 'others' .* could not be found"):
        await sdk.receive(strict, 1, group="others")


async def test_a_ready_made_signature_and_a_named_key_are_let_in(hubs: Any) -> None:
    host = f"localhost:{hubs.port}"
    token = generate_sas_token(
        f"sb://{host}/{hubs.name}", "RootManageSharedAccessKey", "SAS_KEY_VALUE", 9_999_999_999
    )
    for credential in (
        AzureSasCredential(token),
        AzureNamedKeyCredential("RootManageSharedAccessKey", "SAS_KEY_VALUE"),
    ):
        async with EventHubProducerClient(host, hubs.name, credential, use_tls=False) as producer:
            assert len(await producer.get_partition_ids()) == 4
