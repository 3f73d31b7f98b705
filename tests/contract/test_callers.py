"""Tokens for the webhook, really signed, against keys that a real server publishes."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from local.azurite import connection_string
from shared.contracts.errors import TransientError
from splitter.intake.callers import CallerRefused, Callers
from splitter.settings import EVENT_GRID, SplitterSettings

TENANT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "api://stylestream"
SECRET = "s3cret-s3cret-s3cret"


@functools.cache
def key(owner: str = "ours") -> rsa.RSAPrivateKey:
    """Return somebody's key; a key takes a tenth of a second to make."""
    return rsa.generate_private_key(65537, 2048)


class Entra:
    """Publishes keys where Entra does; ``asked`` counts the requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = {"ours": key()}
        app = web.Application()
        app.add_routes([web.get(f"/{TENANT}/discovery/v2.0/keys", self._publish)])
        self.runner = web.AppRunner(app)

    async def start(self) -> str:
        """Serve; return the address."""
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def _publish(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(
            {
                "keys": [
                    {**json.loads(to_jwk(key)), "kid": kid, "use": "sig"}
                    for kid, key in self.keys.items()
                ]
            }
        )


def to_jwk(key: rsa.RSAPrivateKey) -> str:
    return jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())


def settings(authority: str, **changes: Any) -> SplitterSettings:
    return SplitterSettings(
        **{
            "storage_connection_string": connection_string(1),
            "eventhub_connection_string": "Endpoint=sb://x",
            "webhook_tenant": TENANT,
            "webhook_audience": AUDIENCE,
            "webhook_authority": authority,
            **changes,
        }
    )


@pytest_asyncio.fixture
async def entra() -> AsyncIterator[Entra]:
    entra = Entra()
    yield entra
    await entra.runner.cleanup()


def claims(**changes: Any) -> dict[str, Any]:
    """Return what Event Grid's tokens of version 1 say, with changes; None leaves a claim out."""
    now = int(time.time())
    told = {
        "aud": AUDIENCE,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "appid": EVENT_GRID,
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


def bearer(
    told: dict[str, Any], signed_with: Any = None, algorithm: str = "RS256", kid: str = "ours"
) -> dict[str, str]:
    if signed_with is None and algorithm == "RS256":
        signed_with = key()
    token = jwt.encode(told, signed_with, algorithm, headers={"kid": kid})
    return {"Authorization": f"Bearer {token}"}


async def test_event_grids_tokens_of_both_versions_are_let_in(entra: Entra) -> None:
    authority = await entra.start()
    callers = Callers(settings(authority))
    second = claims(iss=f"{authority}/{TENANT}/v2.0", appid=None, azp=EVENT_GRID)

    await callers.admit(bearer(claims()), {})
    await callers.admit(bearer(second), {})

    assert entra.asked == 1, "keys are fetched once"


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("for another application", {"aud": "api://other"}),
        ("of another tenant", {"iss": "https://sts.windows.net/another/"}),
        ("run out", {"exp": int(time.time()) - 3600}),
        ("not good yet", {"nbf": int(time.time()) + 3600}),
        ("without an end", {"exp": None}),
        ("without an audience", {"aud": None}),
        ("of another application of the tenant", {"appid": "somebody-elses"}),
        ("of nobody", {"appid": None}),
    ],
)
async def test_a_token_is_turned_away(entra: Entra, what: str, changes: dict[str, Any]) -> None:
    callers = Callers(settings(await entra.start()))
    with pytest.raises(CallerRefused):
        await callers.admit(bearer(claims(**changes)), {})


async def test_forged_tokens_are_turned_away(entra: Entra) -> None:
    callers = Callers(settings(await entra.start()))
    public = str(key().public_key().public_numbers().n)
    forged = [
        bearer(claims(), key("somebody else's")),
        bearer(claims(), key("somebody else's"), kid="unheard-of"),
        bearer(claims(), None, "none"),
        bearer(claims(), public, "HS256"),
        {"Authorization": "Bearer not.a.token"},
        {"Authorization": "Bearer \udcff"},
        {"Authorization": bearer(claims())["Authorization"].replace("Bearer", "Basic")},
        {},
    ]
    for headers in forged:
        with pytest.raises(CallerRefused):
            await callers.admit(headers, {})
    assert entra.asked == 1, "unknown keys must not make us ask Entra each time"


async def test_while_entra_is_unavailable_callers_are_asked_to_come_again(entra: Entra) -> None:
    authority = await entra.start()
    await entra.runner.cleanup()
    callers = Callers(settings(authority))
    with pytest.raises(TransientError, match="Entra"):
        await callers.admit(bearer(claims()), {})


async def test_with_both_ways_set_up_either_is_enough(entra: Entra) -> None:
    callers = Callers(settings(await entra.start(), webhook_secret=SecretStr(SECRET)))
    await callers.admit(bearer(claims()), {})
    await callers.admit({"X-Webhook-Key": SECRET}, {})
    # A wrong secret beside a good token is what a changed secret looks like.
    await callers.admit({**bearer(claims()), "X-Webhook-Key": "of-yesterday-of-yesterday"}, {})
    with pytest.raises(CallerRefused):
        await callers.admit({"X-Webhook-Key": "of-yesterday-of-yesterday"}, {})
