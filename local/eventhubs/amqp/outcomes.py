"""Errors and delivery outcomes as fields of performatives."""

from __future__ import annotations

from typing import Final

from local.eventhubs.amqp.errors import AmqpError
from local.eventhubs.amqp.values import Described, Encoded, Symbol, ULong


def describe_error(error: AmqpError | None) -> Described | None:
    """Return the ``error`` field for ``error`` (section 2.8.14)."""
    if error is None:
        return None
    return Described(ULong(0x1D), [Symbol(error.condition), error.description, None])


ACCEPTED: Final = Encoded(b"\x00\x53\x24\x45")


def rejected(error: AmqpError) -> Described:
    """Return the outcome of a rejected delivery (part 3: messaging, section 3.4.3)."""
    return Described(ULong(0x25), [describe_error(error)])
