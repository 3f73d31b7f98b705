"""Sealed texts: what the studio hands to a browser and must find unchanged when it comes back.

Sessions and unfinished uploads live in the browser, not in the studio, so that any instance can
go on where another stopped. A seal encrypts and authenticates (Fernet), names its purpose, and
expires.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Seals:
    """Seals values with one secret; ``purpose`` keeps a seal from serving as another."""

    def __init__(self, secret: str) -> None:
        key = hashlib.sha256(b"stylestream studio\n" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, purpose: str, value: dict[str, Any]) -> str:
        """Return a text that only `open` with the same secret and purpose understands."""
        return self._fernet.encrypt(json.dumps([purpose, value]).encode()).decode()

    def open(self, purpose: str, text: str, lifetime_s: int) -> dict[str, Any] | None:
        """Return what was sealed; None when it was not, not here, or too long ago."""
        try:
            sealed_for, value = json.loads(self._fernet.decrypt(text.encode(), ttl=lifetime_s))
        except (InvalidToken, ValueError):
            return None
        return value if sealed_for == purpose else None
