"""Sealed texts: values that the studio gives to a browser and must get back unchanged.

Sessions and unfinished uploads are kept in the browser instead of the studio, so that any instance
can continue. A seal encrypts and authenticates (Fernet), names its purpose, and expires.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Seals:
    """Seals values with one secret; a seal is valid only for its ``purpose``."""

    def __init__(self, secret: str) -> None:
        key = hashlib.sha256(b"stylestream studio\n" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, purpose: str, value: dict[str, Any]) -> str:
        """Return a text that only `open` with the same secret and purpose can read."""
        return self._fernet.encrypt(json.dumps([purpose, value]).encode()).decode()

    def open(self, purpose: str, text: str, lifetime_s: int) -> dict[str, Any] | None:
        """Return the sealed value; None if the seal is invalid or has expired."""
        try:
            sealed_for, value = json.loads(self._fernet.decrypt(text.encode(), ttl=lifetime_s))
        except (InvalidToken, ValueError):
            return None
        return value if sealed_for == purpose else None

    def sealed_at(self, text: str) -> float:
        """Return when a text that `open` accepts was sealed, in seconds since the epoch."""
        return float(self._fernet.extract_timestamp(text.encode()))
