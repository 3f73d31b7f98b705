"""The errors of a connection, and what each of them affects.

::

    AmqpError                 sent to the peer as an AMQP error
    ├── ConnectionFault       the connection is closed
    │   ├── FramingError      the bytes are not valid frames
    │   │   └── TlsError      the bytes are TLS
    │   └── DecodeError       a frame or a value cannot be decoded
    ├── SessionFault          the session is ended
    └── LinkFault             the link is detached, or the delivery rejected
"""

from __future__ import annotations

from typing import Final

from local.eventhubs.errors import EventHubsError

# Conditions of AMQP 1.0 part 2 (transport), section 2.8.15 and following.
INTERNAL_ERROR: Final = "amqp:internal-error"
NOT_FOUND: Final = "amqp:not-found"
UNAUTHORIZED: Final = "amqp:unauthorized-access"
DECODE_ERROR: Final = "amqp:decode-error"
RESOURCE_LIMIT: Final = "amqp:resource-limit-exceeded"
NOT_ALLOWED: Final = "amqp:not-allowed"
INVALID_FIELD: Final = "amqp:invalid-field"
NOT_IMPLEMENTED: Final = "amqp:not-implemented"
ILLEGAL_STATE: Final = "amqp:illegal-state"
CONNECTION_FORCED: Final = "amqp:connection:forced"
FRAMING_ERROR: Final = "amqp:connection:framing-error"
WINDOW_VIOLATION: Final = "amqp:session:window-violation"
HANDLE_IN_USE: Final = "amqp:session:handle-in-use"
UNATTACHED_HANDLE: Final = "amqp:session:unattached-handle"
TRANSFER_LIMIT: Final = "amqp:link:transfer-limit-exceeded"
MESSAGE_SIZE: Final = "amqp:link:message-size-exceeded"
STOLEN: Final = "amqp:link:stolen"
# Conditions that Microsoft's services add.
AUTH_FAILED: Final = "com.microsoft:auth-failed"
ARGUMENT_ERROR: Final = "com.microsoft:argument-error"


class AmqpError(EventHubsError):
    """An error with a condition that is sent to the peer."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description


class ConnectionFault(AmqpError):
    """The connection cannot go on."""


class FramingError(ConnectionFault):
    """The byte stream does not contain a valid frame at this position."""

    def __init__(self, description: str) -> None:
        super().__init__(FRAMING_ERROR, description)


class TlsError(FramingError):
    """The client uses TLS."""

    def __init__(self) -> None:
        super().__init__("the client speaks TLS, and this is AMQP without it")


class DecodeError(ConnectionFault):
    """A value on the wire does not match its constructor."""

    def __init__(self, description: str) -> None:
        super().__init__(DECODE_ERROR, description)


class SessionFault(AmqpError):
    """The session cannot go on; its connection can."""


class LinkFault(AmqpError):
    """The link or the delivery cannot go on; its session can."""
