"""The guard before every request: who sends it, may they, and was it their own intention.

There are three ways of signing in, of which one is configured. A browser is then identified by a
sealed cookie, except if a proxy identifies the user with every request. A request that changes
something must come from the studio's own page, as browsers report (``Sec-Fetch-Site``, ``Origin``),
or carry the token itself, which no other site's page can.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from shared.service.settings import listed
from web.access.entra import CALLBACK, SIGNED_OUT, Entra
from web.access.limits import Limits
from web.access.seals import Seals
from web.access.sessions import Session, Sessions
from web.access.users import EVERYBODY, User
from web.problems import Problem
from web.settings import WebSettings

USER: Final = web.RequestKey("user", User)
SESSION: Final = web.RequestKey("session", Session)
SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
SIGN_OUT_OF_ENTRA: Final = "/sign-out/entra"
_OPEN: Final = frozenset({SIGN_IN, CALLBACK, SIGN_OUT_OF_ENTRA, SIGNED_OUT})
_STATIC: Final = "/static/"
_PAGES: Final = Path(__file__).parents[1] / "static"
_SIGNED_OUT_PAGE: Final = _PAGES / "signed-out.html"
_LOCKED_PAGE: Final = _PAGES / "locked.html"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MONTH_S: Final = 30 * 24 * 3600
_SESSION_S: Final = 12 * 3600
_UNKNOWN_S: Final = 3600
"""How long a stream may go on where a proxy alone knows when a session ends."""

_FLOW_S: Final = 600

_NOT_SIGNED_IN: Final = "you are not signed in: reload the page to sign in"
_LOCKED: Final = (
    "open the address that was printed when the studio was started; it holds the token that lets "
    "you in"
)


class Guard:
    """Passes requests to handlers, or answers them itself."""

    def __init__(self, settings: WebSettings, seals: Seals) -> None:
        self._settings = settings
        self._seals = seals
        lifetime_s = _MONTH_S if settings.web_sign_in == "token" else _SESSION_S
        self._sessions = Sessions(seals, lifetime_s)
        self._entra = Entra(settings) if settings.web_sign_in == "entra" else None
        self._operators = frozenset(listed(settings.web_operators))
        self._limits = Limits()
        # The prefix binds the cookie to one host and to TLS. Without TLS there may be several
        # studios on this machine, and cookies do not distinguish ports.
        own = hashlib.sha256(settings.secret.encode()).hexdigest()[:8]
        self._prefix = "__Host-" if settings.encrypted else f"{own}-"

    @property
    def sign_out(self) -> str | None:
        """The address for signing out; None without sign-in."""
        return SIGN_OUT if self._entra else None

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for signing in and out."""
        if self._entra is None:
            return []
        return [
            web.get(SIGN_IN, self._begin),
            web.get(CALLBACK, self._come_back),
            web.post(SIGN_OUT, self._leave),
            web.get(SIGN_OUT_OF_ENTRA, self._leave_entra),
            web.get(SIGNED_OUT, self._say_signed_out),
        ]

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or pass it on with its user under `USER`."""
        if request.path.startswith(_STATIC) or request.path in _OPEN:
            return await handler(request)
        tokens = self._settings.web_sign_in == "token"
        if tokens and request.path == "/" and "token" in request.query:
            return self._enter(request.query["token"])
        by_token = self._has_token(request)
        session = Session(EVERYBODY, math.inf) if by_token else self._session(request)
        if session is None:
            return self._unknown(request)
        if request.method not in _SAFE and not by_token and not self._is_own_page(request):
            raise Problem(
                HTTPStatus.FORBIDDEN, "the request does not come from the studio's own page"
            )
        self._limits.spend(session.user.id or request.remote or "")
        request[SESSION], request[USER] = session, session.user
        return await handler(request)

    def is_over(self, request: web.Request) -> bool:
        """Return whether the session with which an open request was sent has ended since."""
        return self._sessions.is_over(request[SESSION])

    def _enter(self, token: str) -> web.StreamResponse:
        """Exchange the token in an address for a cookie, because addresses stay in histories."""
        if not self._is_token(token):
            return _locked()
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        self._remember(answer, EVERYBODY)
        return answer

    def _session(self, request: web.Request) -> Session | None:
        if self._settings.web_sign_in == "proxy":
            name = request.headers.get(self._settings.web_proxy_header, "")
            known = name.isascii() and name.isprintable() and name.strip()
            if not known:
                return None
            user = User(name, name, name in self._operators)
            return Session(user, time.time() + _UNKNOWN_S)
        return self._sessions.find(request.cookies.get(f"{self._prefix}session", ""))

    def _unknown(self, request: web.Request) -> web.StreamResponse:
        if self._entra is not None and request.path == "/":
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": SIGN_IN})
        if self._entra is not None and request.path == SIGN_OUT:  # the session has ended before
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": SIGNED_OUT})
        by_token = self._settings.web_sign_in == "token"
        if by_token and request.path == "/":
            return _locked()
        raise Problem(HTTPStatus.UNAUTHORIZED, _LOCKED if by_token else _NOT_SIGNED_IN)

    async def _begin(self, _request: web.Request) -> web.Response:
        assert self._entra is not None
        flow = await self._entra.begin()
        answer = web.Response(
            status=HTTPStatus.SEE_OTHER, headers={"Location": str(flow["auth_uri"])}
        )
        self._set(answer, "flow", self._seals.seal("flow", flow), _FLOW_S)
        return answer

    async def _come_back(self, request: web.Request) -> web.Response:
        assert self._entra is not None
        sealed = request.cookies.get(f"{self._prefix}flow", "")
        flow = self._seals.open("flow", sealed, _FLOW_S)
        if flow is None:
            return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": SIGN_IN})
        user = await self._entra.finish(flow, request.query)
        if user.id in self._operators:
            user = User(user.id, user.name, operator=True)
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        answer.del_cookie(f"{self._prefix}flow", path="/", secure=self._settings.encrypted or None)
        self._remember(answer, user)
        return answer

    async def _leave(self, request: web.Request) -> web.Response:
        self._sessions.sign_out(request[SESSION])
        # Not to Entra, which would sign the user in again.
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": SIGNED_OUT})
        answer.del_cookie(
            f"{self._prefix}session", path="/", secure=self._settings.encrypted or None
        )
        return answer

    async def _leave_entra(self, _request: web.Request) -> web.Response:
        assert self._entra is not None
        address = self._entra.sign_out_address()
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})

    async def _say_signed_out(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(_SIGNED_OUT_PAGE)

    def _remember(self, answer: web.Response, user: User) -> None:
        sessions = self._sessions
        self._set(answer, "session", sessions.begin(user), sessions.lifetime_s)

    def _set(self, answer: web.Response, name: str, value: str, age_s: int) -> None:
        answer.set_cookie(
            f"{self._prefix}{name}",
            value,
            path="/",
            max_age=age_s,
            httponly=True,
            # Sent also with links from other sites, such as the way back from Entra.
            samesite="Lax",
            secure=self._settings.encrypted,
        )

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._is_token(token.strip())

    def _is_token(self, given: str) -> bool:
        token = self._settings.web_token
        if token is None or self._settings.web_sign_in != "token":
            return False
        # Headers may have any bytes; aiohttp represents those that are not UTF-8 like this.
        sent = given.encode(errors="surrogateescape")
        return hmac.compare_digest(sent, token.get_secret_value().encode())

    def _is_own_page(self, request: web.Request) -> bool:
        if site := request.headers.get("Sec-Fetch-Site"):
            return site == "same-origin"
        origin = request.headers.get("Origin", "")
        own = self._settings.web_public_url
        host = urlsplit(own).netloc if own else request.host
        return bool(origin) and urlsplit(origin).netloc == host


def _locked() -> web.FileResponse:
    """Return the page for somebody who is not signed in."""
    return web.FileResponse(_LOCKED_PAGE, status=HTTPStatus.UNAUTHORIZED)
