"""A hostile decoder finds every door shut, as an ordinary user without any privileges.

The hostile child runs as nobody where the tests run as root: root would be let through doors, and
kept from others, by rules that are not the sandbox's. Each door is proved to be open without the
sandbox, so that a refusal is the sandbox's work.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from splitter.decoder.confinement import available
from splitter.protection import LAYERS

ROOT = Path(__file__).resolve().parents[4]
HOSTILE = Path(__file__).parent / "hostile.py"
VICTIM = Path(__file__).parent / "victim.py"
NOBODY = 65534
USER = NOBODY if os.getuid() == 0 else os.getuid()

pytestmark = pytest.mark.skipif(
    available() != frozenset(LAYERS),
    reason=f"this machine lacks {', '.join(sorted(frozenset(LAYERS) - available()))}",
)


@pytest.fixture
def folder():
    """A folder that an ordinary user can reach, with the files of two jobs and a token."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for path in ("own/side", "neighbour/side", "neighbour/deleted", "neighbour/renamed"):
            (made / path).parent.mkdir(exist_ok=True)
            (made / path).touch()
        (made / "token").write_text("federated")
        for path in (made, *made.rglob("*")):
            os.chown(path, USER, -1)
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield made


@pytest.fixture
def victim():
    """Another process of the same user."""
    with subprocess.Popen(
        [sys.executable, VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip()
        process.kill()


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def attempt(how, folder, victim, port):
    pid, address = victim
    ended = subprocess.run(
        [sys.executable, HOSTILE, str(folder), str(pid), str(port), how, address],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert (folder / "own/side").read_bytes() == b"tracks", "its own file must stay open to it"
    return json.loads(ended.stdout)


def test_every_door_is_open_without_the_sandbox(folder, victim, port):
    found = attempt("free", folder, victim, port)
    assert {door for door, state in found.items() if state != "open"} == set()


@pytest.mark.parametrize("how", ["confined", "on a thread"])
def test_no_door_is_open_in_the_sandbox(folder, victim, port, how):
    found = attempt(how, folder, victim, port)
    assert len(found) > 25
    assert {door for door, state in found.items() if state != "shut"} == set()
    assert (folder / "neighbour/deleted").exists()


def test_a_process_with_threads_is_not_taken_for_confined(tmp_path):
    script = (
        "import pathlib, sys, threading\n"
        "from splitter.decoder.confinement import confine\n"
        "from splitter.media.limits import Limits\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "confine(Limits(), pathlib.Path(sys.argv[1]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SandboxError: A decoder with several threads cannot be confined." in ended.stderr
