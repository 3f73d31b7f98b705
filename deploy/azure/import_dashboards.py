"""Imports the dashboards of deploy/monitoring into the environment's Grafana, after provisioning.

It uses Grafana's HTTP API as the account that runs azd, because the Azure command line's extension
for Grafana would be one more thing to install. ::

    python3 -m deploy.azure.import_dashboards        # in azd's environment
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from deploy.azure.cli import AzureCliError, az
from deploy.azure.manifests import ROOT

DASHBOARDS: Final = ROOT / "deploy/monitoring/dashboards"

# The application of Azure Managed Grafana in Entra, the same in all tenants.
AUDIENCE: Final = "ce34e7e5-485f-4d76-964f-b3d2b16d1e4f"

# The role that gives access was assigned a moment ago, and takes minutes to take effect.
PATIENCE_S: Final = 300.0
PAUSE_S: Final = 15.0
TIMEOUT_S: Final = 30.0


class GrafanaError(Exception):
    """Grafana did not accept a dashboard."""


def main() -> None:
    """Import the dashboards; a failure is reported and does not stop the deployment."""
    endpoint = os.environ.get("GRAFANA_ENDPOINT")
    if not endpoint:
        print("dashboards: this environment has no Grafana")
        return
    try:
        token = az("account", "get-access-token", "--resource", AUDIENCE)["accessToken"]
        count = import_all(endpoint, token, DASHBOARDS)
    except (AzureCliError, GrafanaError) as error:
        print(f"dashboards: not imported: {error}", file=sys.stderr)
        print(
            "dashboards: to try again: python3 -m deploy.azure.import_dashboards", file=sys.stderr
        )
    else:
        print(f"dashboards: {count} at {endpoint}")


def import_all(
    endpoint: str,
    token: str,
    folder: Path,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Import every dashboard in ``folder``, replacing those with the same uid; return how many.

    Raises:
        GrafanaError: Grafana is unavailable, or still denies access after `PATIENCE_S`.
    """
    files = sorted(folder.glob("*.json"))
    left_s = PATIENCE_S
    for file in files:
        body = {"dashboard": json.loads(file.read_text(encoding="utf-8")), "overwrite": True}
        while not _post(f"{endpoint.rstrip('/')}/api/dashboards/db", token, body):
            if left_s <= 0:
                raise GrafanaError("signing in is refused: the role Grafana Admin is missing")
            left_s -= PAUSE_S
            pause(PAUSE_S)
    return len(files)


def _post(url: str, token: str, body: dict[str, Any]) -> bool:
    """Post a dashboard; return False if access is denied."""
    request = urllib.request.Request(  # noqa: S310 - the endpoint is the deployment's output
        url,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310 - see above
            return True
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                return False
            raise GrafanaError(f"{error.code} {error.read(200).decode(errors='replace')}") from None
    except OSError as error:
        raise GrafanaError(str(error)) from None


if __name__ == "__main__":
    main()
