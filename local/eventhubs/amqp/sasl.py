"""The server's side of SASL (part 5: security, section 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from local.eventhubs.amqp.frames import SASL_FRAME, encode_frame
from local.eventhubs.amqp.performatives import (
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
)
from local.eventhubs.amqp.values import Array, Symbol

# The service's own list. Only PLAIN authenticates; with the others, $cbs does.
MECHANISMS: Final = ("MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL")
OK: Final = 0
AUTH: Final = 1

CheckPlain = Callable[[str, str], bool]


def offer() -> bytes:
    """Return the frame that offers the mechanisms."""
    names = Array(tuple(Symbol(name) for name in MECHANISMS))
    return encode_frame(0, SaslMechanisms(names), kind=SASL_FRAME)


def judge(init: SaslInit, check_plain: CheckPlain) -> int:
    """Return the outcome's code for the mechanism that the client chose."""
    if init.mechanism == "PLAIN":
        parts = (init.initial_response or b"").split(b"\0")
        if len(parts) != 3:  # noqa: PLR2004 - authorization id, user, password (RFC 4616)
            return AUTH
        user, password = (part.decode("utf-8", "replace") for part in parts[1:])
        return OK if check_plain(user, password) else AUTH
    return OK if init.mechanism in MECHANISMS else AUTH


def outcome(code: int) -> bytes:
    """Return the frame that ends the exchange."""
    return encode_frame(0, SaslOutcome(code), kind=SASL_FRAME)
