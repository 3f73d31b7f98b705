"""Who may deliver: Event Grid's handshakes, and the secret that every delivery needs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from webhook_door import (
    SECRET,
    SECRET_BEFORE,
    Door,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_event_grids_own_validation_gets_its_code_back_and_nothing_else(door: Door) -> None:
    code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
    question = door.grid_event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent",
        data={"validationCode": code, "validationUrl": "http://127.0.0.1:1/never-called"},
    )

    status, body = await door.post([question], **{"aeg-event-type": "SubscriptionValidation"})

    assert status == 200
    assert json.loads(body) == {"validationResponse": code}
    assert await door.in_hub() == []


async def test_a_validation_needs_the_secret_like_every_delivery(door: Door) -> None:
    question = door.grid_event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data={"validationCode": "c"}
    )
    assert (await door.post([question], secret=None))[0] == 401


@pytest.mark.parametrize("data", [{}, {"validationCode": 7}, {"validationCode": "x" * 9999}])
async def test_a_validation_without_a_code_is_refused(door: Door, data: dict[str, Any]) -> None:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert (await door.post([door.grid_event(eventType=kind, data=data)]))[0] == 400


async def test_cloud_events_validation_is_granted_to_event_grid(door: Door) -> None:
    answer = await door.options(
        WebHook_Request_Origin="eventgrid.azure.net",
        WebHook_Request_Callback="http://127.0.0.1:1/never-called",
        WebHook_Request_Rate="120",
    )
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"


@pytest.mark.parametrize("origin", ["evil.example.com", "eventgrid.azure.net.evil.example", ""])
async def test_cloud_events_validation_is_granted_to_nobody_else(door: Door, origin: str) -> None:
    answer = await door.options(WebHook_Request_Origin=origin)
    assert answer.status == 403
    assert "WebHook-Allowed-Origin" not in answer.headers


@pytest.mark.parametrize("secret", [SECRET, SECRET_BEFORE])
async def test_both_secrets_are_good_while_one_replaces_the_other_as_header_or_in_the_address(
    door: Door, secret: str
) -> None:
    assert (await door.post(door.cloud_event(), secret=secret))[0] == 200
    assert (await door.post(door.cloud_event(), secret=None, query=f"?code={secret}"))[0] == 200
    assert len(await door.in_hub()) == 2


@pytest.mark.parametrize(
    ("secret", "query", "headers"),
    [
        (None, "", {}),
        ("wrong-wrong-wrong-wrong", "", {}),
        (SECRET[:-1], "", {}),
        (f"{SECRET_BEFORE}, {SECRET}", "", {}),
        (None, "?code=", {}),
        (None, f"?key={SECRET}", {}),
        (None, "", {"Authorization": f"Bearer {SECRET}"}),
        (None, "", {"X-Webhook-Key": "s\xffcret"}),
    ],
)
async def test_an_unauthorised_caller_is_refused_for_good_and_leaves_nothing_in_the_hub(
    door: Door, secret: str | None, query: str, headers: dict[str, str]
) -> None:
    status, body = await door.post(door.cloud_event(), secret=secret, query=query, **headers)
    assert status == 401
    assert SECRET not in body
    assert await door.in_hub() == []
