"""A hostile decoder finds every door shut, as an ordinary user without any privileges.

Each door is proved to be open without the sandbox, so that a refusal is the sandbox's work.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from doors import tried

from splitter.decoder.confinement import available
from splitter.protection import LAYERS

ROOT = Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.skipif(
    available() != frozenset(LAYERS),
    reason=f"this machine lacks {', '.join(sorted(frozenset(LAYERS) - available()))}",
)


def test_every_door_is_open_without_the_sandbox():
    found = tried("free", str(ROOT))
    assert {door for door, state in found.items() if state != "open"} == set()


@pytest.mark.parametrize("how", ["confined", "on a thread"])
def test_no_door_is_open_in_the_sandbox(how):
    found = tried(how, str(ROOT))
    assert len(found) > 25
    assert {door for door, state in found.items() if state != "shut"} == set()


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
