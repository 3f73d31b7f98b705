"""Signs people in with Microsoft Entra: the authorization code flow with PKCE, by MSAL.

The state between the redirect to Entra and the way back, including the code's verifier, is in a
sealed cookie. The studio requests nothing but the user's identity, and keeps no token.

MSAL compares state and nonce. The identity token's issuer is certain, since it comes directly from
Entra over TLS (OpenID Connect Core, 3.1.3.7); its audience, tenant and expiry are checked here.
"""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msal
import structlog

from web.access.users import User
from web.problems import Problem
from web.settings import AUTHORITY_HOST, FEDERATED_TOKEN, WebSettings

log = structlog.get_logger()

CALLBACK: Final = "/signed-in"
SIGNED_OUT: Final = "/signed-out"
_PUBLIC_CLOUD: Final = "https://login.microsoftonline.com/"
_CLOCKS_DIFFER_S: Final = 120

# MSAL recommends that the answer is posted. But browsers send no cookies with another site's POST,
# except those with SameSite=None, and the code alone is worthless without the cookie.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended")


class Entra:
    """One tenant's sign-in.

    Raises:
        Problem: from every method, when Entra refuses, with its reason.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    async def begin(self) -> dict[str, Any]:
        """Return a new flow; its ``auth_uri`` is where the browser is sent."""

        def initiate() -> dict[str, Any]:
            flow: dict[str, Any] = self._client().initiate_auth_code_flow(
                [], redirect_uri=self._address(CALLBACK), response_mode="query"
            )
            return flow

        try:
            flow = await asyncio.to_thread(initiate)
        # MSAL raises a ValueError for an unknown authority.
        except (OSError, ValueError) as error:
            raise self._away(error) from error
        if "auth_uri" not in flow:
            raise _refused(flow)
        return flow

    async def finish(self, flow: dict[str, Any], answer: Mapping[str, str]) -> User:
        """Return the user who came back from Entra; ``answer`` is the query of the address."""

        def acquire() -> dict[str, Any]:
            result: dict[str, Any] = self._client().acquire_token_by_auth_code_flow(
                flow, dict(answer)
            )
            return result

        try:
            result = await asyncio.to_thread(acquire)
        except (OSError, msal.exceptions.MsalServiceError) as error:
            raise self._away(error) from error
        # The state or nonce is not the flow's: the address is forged or old.
        except (ValueError, RuntimeError) as error:
            raise Problem(
                HTTPStatus.BAD_REQUEST, "this sign-in was not started here: sign in again"
            ) from error
        claims = result.get("id_token_claims")
        if not claims:
            raise _refused(result)
        settings = self._settings
        check_claims(claims, settings.entra_tenant_id, settings.entra_client_id, time.time())
        return user_of(claims, self._settings.entra_operator_role)

    def sign_out_address(self) -> str:
        """Return the address at which a browser is signed out of Entra itself."""
        back = {
            "client_id": self._settings.entra_client_id or "",
            "post_logout_redirect_uri": self._address(SIGNED_OUT),
        }
        return f"{self._authority()}/oauth2/v2.0/logout?{urlencode(back)}"

    def _away(self, error: Exception) -> Problem:
        log.warning("Entra does not answer", authority=self._authority(), error=str(error))
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "Entra does not answer at the moment: try again"
        )

    def _address(self, path: str) -> str:
        return f"{(self._settings.web_public_url or '').rstrip('/')}{path}"

    def _authority(self) -> str:
        host = os.environ.get(AUTHORITY_HOST, _PUBLIC_CLOUD).removeprefix("https://").rstrip("/")
        return f"https://{host}/{self._settings.entra_tenant_id}"

    def _client(self) -> msal.ConfidentialClientApplication:
        settings = self._settings
        return msal.ConfidentialClientApplication(
            settings.entra_client_id,
            authority=self._authority(),
            client_credential=self._credential(),
            # No need to ask the public cloud which clouds there are.
            instance_discovery=False,
        )

    def _credential(self) -> str | dict[str, str]:
        if secret := self._settings.entra_client_secret:
            return secret.get_secret_value()
        # Read each time, because the kubelet renews it.
        return {"client_assertion": Path(os.environ[FEDERATED_TOKEN]).read_text(encoding="ascii")}


def check_claims(
    claims: Mapping[str, Any], tenant: str | None, client: str | None, now: float
) -> None:
    """Check an identity token's audience, tenant and expiry.

    Raises:
        Problem: it is of another tenant, for another application, or expired.
    """
    if claims.get("tid") != tenant:
        raise Problem(HTTPStatus.FORBIDDEN, "this account does not belong to the studio's tenant")
    if claims.get("aud") != client:
        raise Problem(HTTPStatus.FORBIDDEN, "this sign-in is for another application")
    if claims.get("exp", 0) < now - _CLOCKS_DIFFER_S:
        raise Problem(HTTPStatus.FORBIDDEN, "this sign-in has expired: sign in again")


def user_of(claims: Mapping[str, Any], operator_role: str) -> User:
    """Return the user of an identity token of Entra."""
    name = str(claims.get("name") or claims.get("preferred_username") or "")
    return User(str(claims["oid"]), name, operator_role in claims.get("roles", ()))


def _refused(result: Mapping[str, Any]) -> Problem:
    reason = str(result.get("error_description") or result.get("error") or "no reason given")
    return Problem(HTTPStatus.FORBIDDEN, f"Entra refuses the sign-in: {reason.splitlines()[0]}")
