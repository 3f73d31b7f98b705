"""Tokens, requests and refusals frame by frame, as SDKs of other languages make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.eventhub._pyamqp.utils import generate_sas_token

from local.eventhubs import EventHubs
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.message import parse_request
from local.eventhubs.amqp.performatives import Flow, Transfer
from local.eventhubs.amqp.values import Array, Described, Symbol, ULong

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_wrong_key_is_refused_with_401(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    reply = await wire.authorize(hubs.name, key="WRONG")
    assert (reply["status-code"], reply["error-condition"]) == (401, "com.microsoft:auth-failed")


async def test_an_unknown_hub_is_refused_with_404_before_any_link(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    reply = await wire.authorize("nowhere")
    assert (reply["status-code"], reply["error-condition"]) == (404, "amqp:not-found")


async def test_a_link_without_a_token_is_refused_with_its_termini_echoed(
    hubs: Any, connect: Any
) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    wire.attach("out", 0, hubs.name, receive=False)
    attached = await wire.receive()
    assert attached.fields[6].value == [hubs.name]
    detached = await wire.receive()
    assert detached.fields[1] is True
    assert detached.fields[2].value[0] == "amqp:unauthorized-access"
    assert len(detached.fields[2].value) == 3


async def read_hub(wire: Any, name: str, **more: str) -> dict[Any, Any]:
    """Ask for a hub's properties; return the application properties of the answer."""
    wire.attach("in", 1, "$management", receive=True)
    wire.attach("out", 2, "$management", receive=False)
    wire.send(Flow(1, 5000, 1, 5000, 1, 0, 10))
    properties = {"operation": "READ", "type": "com.microsoft:eventhub", "name": name, **more}
    request = encode(Described(ULong(0x73), [7])) + encode(Described(ULong(0x74), properties))
    wire.send(Transfer(2, 1, b"t", 0), request)
    answer: dict[Any, Any] = parse_request((await wire.until(0x14)).payload).properties
    return answer


async def test_a_token_for_the_management_node_of_a_hub_lets_it_be_read(
    hubs: Any, connect: Any
) -> None:
    # Given a client like the SDKs for JavaScript and Go
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    reply = await wire.authorize(f"{hubs.name}/$management")
    assert reply["status-code"] == 202
    assert (await read_hub(wire, hubs.name))["status-code"] == 200


@pytest.mark.parametrize(
    ("key", "resource", "status"),
    [("SAS_KEY_VALUE", "", 200), ("WRONG", "", 401), ("SAS_KEY_VALUE", "-other", 401)],
)
async def test_a_request_may_carry_its_own_token(
    hubs: Any, connect: Any, key: str, resource: str, status: int
) -> None:
    # Given a client like the SDKs for .NET and Java, which puts no token for management
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    token = generate_sas_token(
        f"amqps://localhost/{hubs.name}{resource}", "RootManageSharedAccessKey", key, 9_999_999_999
    )
    answer = await read_hub(wire, hubs.name, security_token=token)
    assert answer["status-code"] == status
    # Then it counts for this request alone
    properties = {"operation": "READ", "type": "com.microsoft:eventhub", "name": hubs.name}
    request = encode(Described(ULong(0x74), properties))
    wire.send(Transfer(2, 2, b"u", 0), request)
    assert parse_request((await wire.until(0x14)).payload).properties["status-code"] == 401


async def test_a_reader_with_a_filter_that_is_not_understood_is_refused(
    hubs: Any, connect: Any
) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    await wire.authorize(hubs.name)
    selector = Described(ULong(0x0000468C00000003), [])
    address = f"{hubs.name}/ConsumerGroups/$Default/Partitions/0"
    wire.attach("no-local", 0, address, receive=True, selector=selector)
    error = (await wire.until(0x16)).fields[2].value
    assert error[0] == "amqp:not-implemented"
    assert "not supported" in error[1]


async def test_a_partition_key_that_the_service_refuses_is_refused(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    await wire.authorize(hubs.name)
    wire.attach("out", 0, hubs.name, receive=False)
    await wire.until(0x13)
    for number, length in enumerate((128, 129)):
        key = {Symbol("x-opt-partition-key"): "k" * length}
        message = encode(Described(ULong(0x72), key)) + encode(Described(ULong(0x75), b"x"))
        wire.send(Transfer(0, 10 + number, bytes([number]), 0), message)
        state = (await wire.until(0x15)).fields[4]
        assert state.descriptor == (0x24 if length == 128 else 0x25)
    assert state.value[0].value[0] == "com.microsoft:argument-error"


async def test_the_log_says_whom_the_broker_refuses_and_why(
    tmp_path: Path, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventHubs(tmp_path, hubs={"frames": 1, "Segments": 1}) as server:
        # Given clients with a wrong key, with a wrong hub, with TLS
        for hub, key in (("frames", "WRONG"), ("nowhere", "SAS_KEY_VALUE")):
            wire = await connect(server.port)
            await wire.open()
            await wire.begin()
            await wire.authorize(hub, key=key)
        wire = await connect(server.port)
        wire.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert await wire.closed()
    # Then there is a line for each, with what helps
    refused, unknown, tls = (
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    )
    assert "'sb://localhost/frames'" in refused
    assert "invalid signature" in refused
    assert "RootManageSharedAccessKey" in refused
    assert "SAS_KEY_VALUE" not in caplog.text
    assert unknown == "a client asks for the hub 'nowhere'; the hubs that exist: Segments, frames"
    assert "UseDevelopmentEmulator=true" in tls


async def test_management_answers_with_the_fields_and_types_of_the_service(
    hubs: Any, connect: Any
) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    await wire.authorize(hubs.name)
    wire.attach("in", 1, "$management", receive=True)
    wire.attach("out", 2, "$management", receive=False)
    wire.send(Flow(1, 5000, 1, 5000, 1, 0, 10))
    properties = {"operation": "READ", "type": "com.microsoft:eventhub", "name": hubs.name}
    request = encode(Described(ULong(0x73), [7])) + encode(Described(ULong(0x74), properties))
    wire.send(Transfer(2, 1, b"t", 0), request)
    # The request is settled first, then answered unsettled
    assert (await wire.until(0x15)).fields[4].descriptor == 0x24
    reply = await wire.receive()
    assert (reply.code, reply.fields[4]) == (0x14, False)
    answer = parse_request(reply.payload)
    assert answer.properties == {"operation": "READ", "status-code": 200}
    assert answer.body["partition_ids"] == Array(("0", "1", "2", "3"))
    assert b"\xb1\x00\x00\x00\x010\x00\x00\x00\x011" in reply.payload
    assert answer.body["georeplication_factor"] == 1
