"""Finds addresses that are reached without TLS, so that settings can refuse them.

Keys and pictures must not cross a network in the clear. Loopback is exempt; on an isolated network,
such as Docker Compose's, the operator allows plain HTTP with ``ALLOW_HTTP``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from shared.contracts.hosts import is_loopback


def plain_url(url: str) -> str | None:
    """Return the host that ``url`` reaches without TLS; None if it is reached with TLS."""
    parts = urlsplit(url)
    return None if parts.scheme == "https" else parts.hostname or url


def plain_storage(connection_string: str) -> str | None:
    """Return the host that a storage connection string reaches without TLS, None if with TLS."""
    fields = _fields(connection_string)
    if fields.get("usedevelopmentstorage") == "true":
        return "127.0.0.1"
    if endpoint := fields.get("blobendpoint"):
        return plain_url(endpoint)
    if fields.get("defaultendpointsprotocol", "https") == "https":
        return None
    return f"{fields.get('accountname')}.blob.{fields.get('endpointsuffix')}"


def plain_eventhubs(connection_string: str) -> str | None:
    """Return the host that an Event Hubs connection string reaches without TLS, None if with."""
    fields = _fields(connection_string)
    # The emulator's flag turns TLS off; the SDK accepts only this spelling of "true".
    if fields.get("usedevelopmentemulator") != "true":
        return None
    return urlsplit(fields.get("endpoint", "")).hostname or "an emulator"


def holds_signature(text: str) -> bool:
    """Tell whether a connection string or URL carries a shared access signature.

    The SDK makes it a part of every blob's URL, and those are written into records.
    """
    return "sharedaccesssignature=" in text.lower() or ("?" in text and "sig=" in text)


def check_url(
    variable: str,
    url: str,
    *,
    allow_http: bool,
    example: str = "https://NAME.blob.core.windows.net",
) -> str | None:
    """Return the problem with a variable that holds a service's URL; None if there is none.

    >>> check_url("STORAGE_ACCOUNT_URL", "http://127.0.0.1:10000/account", allow_http=False)
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"{variable} must be a URL such as {example}"
    return _check_encrypted(variable, plain_url(url), allow_http=allow_http)


def check_storage(variable: str, connection_string: str, *, allow_http: bool) -> str | None:
    """Return the problem with a variable that holds a storage account's connection string."""
    return _check_encrypted(variable, plain_storage(connection_string), allow_http=allow_http)


def check_eventhubs(variable: str, connection_string: str, *, allow_http: bool) -> str | None:
    """Return the problem with a variable that holds a namespace's connection string."""
    return _check_encrypted(variable, plain_eventhubs(connection_string), allow_http=allow_http)


def _check_encrypted(variable: str, host: str | None, *, allow_http: bool) -> str | None:
    if host is None or allow_http or is_loopback(host):
        return None
    return (
        f"{variable} reaches {host} without TLS: use https, or set ALLOW_HTTP=true if nobody else "
        "is on that network"
    )


def _fields(connection_string: str) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, value in pairs}
