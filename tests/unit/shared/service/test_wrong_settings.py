"""Programs name a setting that is found to be wrong only when it is used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "program",
    [
        ("shared.service.checkpoints",),
        ("shared.service.rights", "splitter"),
        ("exporter",),
        ("splitter",),
        ("deploy.compose.prepare",),
    ],
    ids=lambda program: program[0],
)
def test_a_connection_string_that_is_none_is_named(program: tuple[str, ...]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "STORAGE_CONNECTION_STRING": "nonsense",
        "EVENTHUB_CONNECTION_STRING": "Endpoint=sb://localhost;SharedAccessKeyName=a;"
        "SharedAccessKey=b;UseDevelopmentEmulator=true;",
        "ONLOOKER_GROUP": "onlookers",
        "METRICS_PORT": "0",
    }

    ran = subprocess.run(
        [sys.executable, "-m", *program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    last = ran.stderr.strip().splitlines()[-1]
    assert "STORAGE_CONNECTION_STRING" in last
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2
