"""Signs people in with Microsoft Entra: the authorization code flow with PKCE, by MSAL.

What must survive between leaving for Entra and coming back, the code's verifier among it, travels
in a sealed cookie. The studio asks who somebody is and for nothing else: it keeps no token.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msal

from web.access.users import User
from web.problems import Problem
from web.settings import FEDERATED_TOKEN, WebSettings

CALLBACK: Final = "/signed-in"
_AUTHORITY: Final = "https://login.microsoftonline.com"


class Entra:
    """One tenant's sign-in.

    Raises:
        Problem: from every method, when Entra refuses, with its reason.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    async def begin(self) -> dict[str, Any]:
        """Return a flow; its ``auth_uri`` is where the browser goes."""
        redirect = f"{(self._settings.web_public_url or '').rstrip('/')}{CALLBACK}"

        def initiate() -> dict[str, Any]:
            flow: dict[str, Any] = self._client().initiate_auth_code_flow(
                [], redirect_uri=redirect, response_mode="query"
            )
            return flow

        flow = await asyncio.to_thread(initiate)
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
        except ValueError as error:  # the state is not the flow's: a forged or an old address
            raise Problem(
                HTTPStatus.BAD_REQUEST, "this sign-in was not begun here: sign in again"
            ) from error
        claims = result.get("id_token_claims")
        if not claims or claims.get("tid") != self._settings.entra_tenant_id:
            raise _refused(result)
        return user_of(claims, self._settings.entra_operator_role)

    def _client(self) -> msal.ConfidentialClientApplication:
        settings = self._settings
        return msal.ConfidentialClientApplication(
            settings.entra_client_id,
            authority=f"{_AUTHORITY}/{settings.entra_tenant_id}",
            client_credential=self._credential(),
        )

    def _credential(self) -> str | dict[str, str]:
        if secret := self._settings.entra_client_secret:
            return secret.get_secret_value()
        # Read anew each time: the kubelet renews it.
        return {"client_assertion": Path(os.environ[FEDERATED_TOKEN]).read_text(encoding="ascii")}


def user_of(claims: Mapping[str, Any], operator_role: str) -> User:
    """Return whom an identity token of Entra is about."""
    name = str(claims.get("name") or claims.get("preferred_username") or "")
    return User(str(claims["oid"]), name, operator_role in claims.get("roles", ()))


def _refused(result: Mapping[str, Any]) -> Problem:
    reason = str(result.get("error_description") or result.get("error") or "no reason given")
    return Problem(HTTPStatus.FORBIDDEN, f"Entra refuses the sign-in: {reason.splitlines()[0]}")
