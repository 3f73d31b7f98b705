"""Signs people in with Microsoft Entra: the authorization code flow with PKCE, by MSAL.

What must survive between leaving for Entra and coming back, the code's verifier among it, travels
in a sealed cookie. The studio asks who somebody is and for nothing else: it keeps no token.

MSAL compares state and nonce. Who has made the identity token is known because it comes straight
from Entra by TLS (OpenID Connect Core, 3.1.3.7); for whom, for which tenant and until when, is
checked here.
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

# MSAL would rather have the answer posted. Browsers send no cookie with what another site posts,
# except one that they send with all of it, and the code alone is worth nothing without the cookie.
warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended")


class Entra:
    """One tenant's sign-in.

    Raises:
        Problem: from every method, when Entra refuses, with its reason.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    async def begin(self) -> dict[str, Any]:
        """Return a flow; its ``auth_uri`` is where the browser goes."""

        def initiate() -> dict[str, Any]:
            flow: dict[str, Any] = self._client().initiate_auth_code_flow(
                [], redirect_uri=self._address(CALLBACK), response_mode="query"
            )
            return flow

        try:
            flow = await asyncio.to_thread(initiate)
        # A ValueError is MSAL's way of saying that there is no such authority.
        except (OSError, ValueError) as error:
            raise self._away(error) from error
        if "auth_uri" not in flow:
            raise _refused(flow)
        return flow

    async def finish(self, flow: dict[str, Any], answer: Mapping[str, str]) -> User:
        """Return who came back from Entra with ``answer``, the query of the address."""

        def acquire() -> dict[str, Any]:
            result: dict[str, Any] = self._client().acquire_token_by_auth_code_flow(
                flow, dict(answer)
            )
            return result

        try:
            result = await asyncio.to_thread(acquire)
        except (OSError, msal.exceptions.MsalServiceError) as error:
            raise self._away(error) from error
        # The state or the nonce is not the flow's: a forged or an old address.
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
        """Return where a browser is signed out of Entra itself, and so of whatever uses it."""
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
            # Which clouds there are need not be asked of the public one.
            instance_discovery=False,
        )

    def _credential(self) -> str | dict[str, str]:
        if secret := self._settings.entra_client_secret:
            return secret.get_secret_value()
        # Read anew each time: the kubelet renews it.
        return {"client_assertion": Path(os.environ[FEDERATED_TOKEN]).read_text(encoding="ascii")}


def check_claims(
    claims: Mapping[str, Any], tenant: str | None, client: str | None, now: float
) -> None:
    """Check for whom an identity token is, and that it has not expired.

    Raises:
        Problem: it is of another tenant, for another application, or too old.
    """
    if claims.get("tid") != tenant:
        raise Problem(HTTPStatus.FORBIDDEN, "this account does not belong to the studio's tenant")
    if claims.get("aud") != client:
        raise Problem(HTTPStatus.FORBIDDEN, "this sign-in is for another application")
    if claims.get("exp", 0) < now - _CLOCKS_DIFFER_S:
        raise Problem(HTTPStatus.FORBIDDEN, "this sign-in has expired: sign in again")


def user_of(claims: Mapping[str, Any], operator_role: str) -> User:
    """Return whom an identity token of Entra is about."""
    name = str(claims.get("name") or claims.get("preferred_username") or "")
    return User(str(claims["oid"]), name, operator_role in claims.get("roles", ()))


def _refused(result: Mapping[str, Any]) -> Problem:
    reason = str(result.get("error_description") or result.get("error") or "no reason given")
    return Problem(HTTPStatus.FORBIDDEN, f"Entra refuses the sign-in: {reason.splitlines()[0]}")
