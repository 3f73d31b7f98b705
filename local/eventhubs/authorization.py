"""Check shared access signatures, and what they allow a client to do.

A token is ``SharedAccessSignature sr=<uri>&sig=<signature>&se=<expiry>&skn=<policy>``,
signed with HMAC-SHA256 over the URI exactly as in the token, a line feed and the expiry
in seconds since 1970.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from local.eventhubs.addresses import MANAGEMENT, path_of
from local.eventhubs.amqp.errors import AUTH_FAILED
from local.eventhubs.errors import EventHubsError

_PREFIX: Final = "SharedAccessSignature "


class TokenRefusedError(EventHubsError):
    """A token is invalid, expired or for another resource."""

    status: Final = 401
    condition: Final = AUTH_FAILED


@dataclass(frozen=True, slots=True)
class Policy:
    """A shared access policy: a client that knows the key may do everything."""

    name: str
    key: str = field(repr=False)

    def matches(self, name: str, key: str) -> bool:
        """Return whether name and key are this policy's."""
        return self.name == name and hmac.compare_digest(self.key.encode(), key.encode())


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token allows: everything below ``path`` until ``expires_s``."""

    path: str
    expires_s: float

    def covers(self, path: str, now_s: float) -> bool:
        """Return whether the grant is still valid, and for ``path`` or a path above it."""
        inside = not self.path or path == self.path or path.startswith(self.path + "/")
        return inside and now_s < self.expires_s


def check_token(token: str, audience: str, policy: Policy, now_s: float) -> Grant:
    """Return what ``token`` grants for ``audience``, or raise ``TokenRefusedError``."""
    if not token.startswith(_PREFIX):
        message = "InvalidSignature: The token is not a shared access signature."
        raise TokenRefusedError(message)
    fields = dict(
        part.split("=", 1) for part in token[len(_PREFIX) :].strip().split("&") if "=" in part
    )
    missing = {"sr", "sig", "se", "skn"} - fields.keys()
    if missing or not fields["se"].isdecimal():
        message = "InvalidSignature: The token lacks one of sr, sig, se and skn."
        raise TokenRefusedError(message)
    # azure-eventhub percent-encodes the policy's name twice.
    names = {unquote_plus(fields["skn"]), unquote_plus(unquote_plus(fields["skn"]))}
    signed = f"{fields['sr']}\n{fields['se']}".encode()
    expected = base64.b64encode(hmac.digest(policy.key.encode(), signed, "sha256"))
    signature = unquote_plus(fields["sig"]).encode()
    if policy.name not in names or not hmac.compare_digest(expected, signature):
        message = "InvalidSignature: The token has an invalid signature."
        raise TokenRefusedError(message)
    expires_s = float(int(fields["se"]))
    if expires_s <= now_s:
        message = "ExpiredToken: The token is expired."
        raise TokenRefusedError(message)
    resource, path = _hub_of(unquote_plus(fields["sr"])), _hub_of(audience)
    if not Grant(resource, expires_s).covers(path, now_s):
        message = "Unauthorized: The token is for another resource."
        raise TokenRefusedError(message)
    return Grant(path, expires_s)


def _hub_of(address: str) -> str:
    """Return the hub that a token is for; the SDKs for JavaScript and Go name its node instead."""
    path = path_of(address)
    return path.removesuffix(MANAGEMENT).rstrip("/")
