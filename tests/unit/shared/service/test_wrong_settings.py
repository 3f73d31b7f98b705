"""Programs name a setting that is found to be wrong only when it is used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CONNECTIONS = {
    "STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;",
    "EVENTHUB_CONNECTION_STRING": "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;"
    "SharedAccessKey=b;UseDevelopmentEmulator=true;",
}


@pytest.mark.parametrize(
    ("program", "wrong"),
    [
        ("shared.service.checkpoints", "STORAGE_CONNECTION_STRING"),
        ("shared.service.rights", "STORAGE_CONNECTION_STRING"),
        ("deploy.compose.prepare", "STORAGE_CONNECTION_STRING"),
        ("shared.service.checkpoints", "EVENTHUB_CONNECTION_STRING"),
        ("splitter", "EVENTHUB_CONNECTION_STRING"),
    ],
)
def test_a_connection_string_that_is_none_is_named(program: str, wrong: str) -> None:
    arguments = ["splitter"] if program == "shared.service.rights" else []
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        **CONNECTIONS,
        wrong: "nonsense",
        "METRICS_PORT": "0",
    }

    ran = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert wrong in ran.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2
