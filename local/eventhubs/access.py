"""The connection string of the broker's clients."""

from __future__ import annotations

from typing import Final

DEFAULT_POLICY: Final = "RootManageSharedAccessKey"
DEFAULT_KEY: Final = "SAS_KEY_VALUE"


def connection_string(
    host: str, port: int, policy: str = DEFAULT_POLICY, key: str = DEFAULT_KEY
) -> str:
    """Return the clients' connection string; its development flag makes them do without TLS."""
    return (
        f"Endpoint=sb://{host}:{port};SharedAccessKeyName={policy};SharedAccessKey={key};"
        "UseDevelopmentEmulator=true;"
    )
