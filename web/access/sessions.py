"""Sessions: who sends a request, and for how long what is streamed to them may go on.

A browser keeps its session as a sealed text, so that any instance can continue it. All that an
instance remembers are the sessions that were signed out of there, until they would have ended.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, dataclass

from web.access.seals import Seals
from web.access.users import User

_PURPOSE = "session"


@dataclass(frozen=True, slots=True)
class Session:
    """A user, and the time in seconds since the epoch until which they are known to be that.

    ``key`` tells a browser's session from others; it is empty if there is nothing to sign out of.
    """

    user: User
    ends_at: float
    key: str = ""


class Sessions:
    """Begins, recognises and ends the sessions of browsers, which last for ``lifetime_s``."""

    def __init__(self, seals: Seals, lifetime_s: int) -> None:
        self.lifetime_s = lifetime_s
        self._seals = seals
        self._signed_out: dict[str, float] = {}
        """When each session that was signed out of would have ended, by key."""

    def begin(self, user: User) -> str:
        """Return the sealed text of a new session."""
        return self._seals.seal(_PURPOSE, asdict(user) | {"key": secrets.token_hex(16)})

    def find(self, sealed: str) -> Session | None:
        """Return the session of a sealed text; None if there is none, or it is over."""
        known = self._seals.open(_PURPOSE, sealed, self.lifetime_s)
        if known is None:
            return None
        key = known.pop("key", "")
        ends_at = self._seals.sealed_at(sealed) + self.lifetime_s
        session = Session(User(**known), ends_at, key)
        return None if self.is_over(session) else session

    def sign_out(self, session: Session) -> None:
        """End a session now, for all requests and streams that this instance answers."""
        if not session.key:  # it shares that with everybody behind a proxy
            return
        now = time.time()
        self._signed_out = {key: at for key, at in self._signed_out.items() if at > now}
        self._signed_out[session.key] = session.ends_at

    def is_over(self, session: Session) -> bool:
        """Return whether a session has ended or was signed out of."""
        return time.time() >= session.ends_at or session.key in self._signed_out
