"""Authenticate callers of the webhook, by the shared secret or by Event Grid's token for us.

Event Grid does not sign its deliveries. It sends what its subscription was given, a header or a
query parameter, or it signs in to Entra and sends a bearer token. Any application in the tenant can
get a token for ours, so the token's caller is checked as well.

Sources: "Authenticate event delivery to event handlers", "Deliver events to Microsoft Entra
protected endpoints" (Event Grid); "Access tokens in the Microsoft identity platform"; RFC 8725.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import jwt
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from shared.contracts.errors import StylestreamError, TransientError, first_line
from shared.service.settings import listed
from splitter.settings import SplitterSettings

HEADER: Final = "X-Webhook-Key"
PARAMETER: Final = "code"

_BEARER: Final = "bearer "
# Never taken from the token: a forger would choose it (RFC 8725, 3.1).
_ALGORITHMS: Final = ["RS256"]
_CLOCK_SKEW_S: Final = 60
# Entra publishes a key long before it signs with it.
_KEYS_LIFE_S: Final = 3600
_KEYS_DEADLINE_S: Final = 10


class CallerRefused(StylestreamError):
    """The caller could not prove that it may call."""


class Callers:
    """Admits callers with a valid secret or a valid token; either is enough."""

    def __init__(self, settings: SplitterSettings) -> None:
        self._secrets = settings.webhook_secrets
        self._tokens = Tokens(settings) if settings.webhook_tenant else None

    async def admit(self, headers: Mapping[str, str], query: Mapping[str, str]) -> None:
        """Return if the caller may call.

        Raises:
            CallerRefused: the caller may not.
            TransientError: Entra's keys cannot be fetched, so the token cannot be checked.
        """
        secret = headers.get(HEADER) or query.get(PARAMETER)
        if secret and self._is_known(secret):
            return
        authorization = headers.get("Authorization", "")
        if self._tokens is None or not authorization.lower().startswith(_BEARER):
            raise CallerRefused("wrong secret" if secret else "neither a secret nor a token")
        await self._tokens.check(authorization[len(_BEARER) :].strip())

    def _is_known(self, secret: str) -> bool:
        """Compare with every secret, in a time that reveals nothing about them."""
        given = secret.encode(errors="surrogateescape")
        same = [hmac.compare_digest(given, known.encode()) for known in self._secrets]
        return any(same)


class Tokens:
    """Checks Entra's access tokens: signature, issuer, audience, lifetime and caller."""

    def __init__(self, settings: SplitterSettings) -> None:
        tenant, authority = settings.webhook_tenant, settings.webhook_authority.rstrip("/")
        # Which of the two forms Entra issues depends on the application's registration.
        self._issuers = [f"https://sts.windows.net/{tenant}/", f"{authority}/{tenant}/v2.0"]
        self._audiences = listed(settings.webhook_audience or "")
        self._callers = listed(settings.webhook_callers)
        self._keys = PyJWKClient(
            f"{authority}/{tenant}/discovery/v2.0/keys",
            lifespan=_KEYS_LIFE_S,
            timeout=_KEYS_DEADLINE_S,
        )
        # A thread of its own: while Entra does not answer, waiting callers must not use up the
        # threads of everything else.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="entra-keys")

    async def check(self, token: str) -> None:
        """Return if the token is valid; raises like `Callers.admit`."""
        if not token.isascii():
            raise CallerRefused("invalid token: it is not a JSON Web Token")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_KEYS_DEADLINE_S):
                key = await loop.run_in_executor(
                    self._thread, self._keys.get_signing_key_from_jwt, token
                )
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audiences,
                issuer=self._issuers,
                leeway=_CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (PyJWKClientConnectionError, TimeoutError) as error:
            raise TransientError(
                f"cannot fetch Entra's signing keys: {first_line(error)}"
            ) from error
        except PyJWTError as error:
            raise CallerRefused(f"invalid token: {error}") from error
        # Version 1 tokens name the calling application "appid", version 2 tokens "azp".
        if not {claims.get("azp"), claims.get("appid")} & {*self._callers}:
            raise CallerRefused("the token's application is not allowed")
