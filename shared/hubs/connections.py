"""What clients of the Event Hubs SDK are given: to whom they connect, and at little cost."""

from __future__ import annotations

import functools
import ssl
from typing import Any, Final

import certifi
from azure.eventhub import parse_connection_string

from shared.contracts.errors import ConfigurationError

# How long the SDK waits for data before it services its connection; data ends the wait.
_LISTENING_S: Final = 1.0

_CONNECTION_STRING: Final = (
    "EVENTHUB_CONNECTION_STRING is not an Event Hubs namespace's connection string, such as "
    "Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=NAME;SharedAccessKey=KEY"
)


def namespace_in(connection_string: str) -> str:
    """Return the host name of the namespace that a connection string is for.

    Raises:
        ConfigurationError: it is malformed.
    """
    try:
        return str(parse_connection_string(connection_string).fully_qualified_namespace)
    except ValueError:
        # The SDK's message may contain a key.
        raise ConfigurationError([_CONNECTION_STRING]) from None


def connection_options() -> dict[str, Any]:
    """Return options for any client of the SDK; they change neither trust nor retries."""
    return {"ssl_context": _trust(), "socket_timeout": _LISTENING_S}


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return the TLS context of connections to hubs; it trusts what the SDK trusts.

    The SDK would load it anew for every connection, also for one without TLS, which takes 20 ms of
    CPU time or more; every partition and every query to a hub is a connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context
