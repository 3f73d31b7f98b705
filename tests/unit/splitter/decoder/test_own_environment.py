"""A splitter's secrets are hidden from its user's other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="root can be anybody")
def test_the_keys_in_our_environment_are_for_no_other_process_of_our_user() -> None:
    script = """
import ctypes, os
from splitter.decoder.process import deny_inspection

def look():
    if os.fork() == 0:
        try: print(open(f"/proc/{os.getppid()}/environ").read().split(chr(0))[0], flush=True)
        except OSError as error: print(error.strerror, flush=True)
        os._exit(0)
    os.wait()

os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as it is in a process that never was another user's
look()
deny_inspection()
look()
"""
    seen = subprocess.run(
        [sys.executable, "-c", script],
        env={"KEY": "secret", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.splitlines() == ["KEY=secret", "Permission denied"]
