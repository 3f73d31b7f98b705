"""An Azurite as a process of a test's own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from local import azurite
from local.processes import Command, Supervised
from local.readiness import TcpReady


def azurite_process(directory: Path, port: int) -> Supervised:
    """Return an Azurite to be started, whose blobs are in ``directory``."""
    return Supervised(
        Command(
            name="azurite",
            argv=azurite.command_line(port, directory / "blobs"),
            environment={"PATH": os.environ["PATH"]},
            log=directory / "azurite.log",
            ready=TcpReady(port),
        )
    )


def port_of(connection: str) -> int:
    """Return the port of an Azurite's connection string."""
    endpoint = re.search(r"BlobEndpoint=http://127\.0\.0\.1:(\d+)/", connection)
    assert endpoint
    return int(endpoint[1])
