"""Checks the health of the service in this container: exit 0 if healthy, else 1 with the reason.

``python -I probe.py [healthz|readyz]``. It uses only the standard library, and the plain HTTP
client, because a loopback request must not use a proxy from the environment.
"""

# ruff: noqa: INP001 - a script of the image, in no package

from __future__ import annotations

import http.client
import os
import sys
from http import HTTPStatus

TIMEOUT_S = 3.0


def main() -> None:
    """Ask once."""
    path = sys.argv[1] if len(sys.argv) > 1 else "healthz"
    port = int(os.environ.get("METRICS_PORT") or 9000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/{path}")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"/{path} on port {port}: {error!r}")
    if status != HTTPStatus.OK:
        sys.exit(f"/{path} on port {port}: {status}")


if __name__ == "__main__":
    main()
