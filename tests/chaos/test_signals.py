"""Signals of the chaos harness on real processes."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from typing import IO

import pytest

from chaos.signals import CLOCK, signal_group

BUSY = "import uuid\nprint('ready', flush=True)\nwhile True: uuid.uuid1()"


def test_a_stopped_process_holds_no_lock_that_others_wait_for() -> None:
    try:
        clock = CLOCK.open("rb+")
    except OSError as error:
        pytest.skip(f"this user makes identifiers without a lock: {error}")
    with (
        clock,
        subprocess.Popen(
            [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, start_new_session=True
        ) as process,
    ):
        try:
            assert process.stdout
            process.stdout.readline()
            for _ in range(50):
                signal_group(process.pid, signal.SIGSTOP)
                # It would be held by the stopped process in most rounds
                _lock(clock)
                fcntl.flock(clock, fcntl.LOCK_UN)
                signal_group(process.pid, signal.SIGCONT)
                time.sleep(0.002)  # it must have run on, to be somewhere else the next time
        finally:
            process.kill()


def _lock(clock: IO[bytes]) -> None:
    """Lock the clock, for which other processes of the machine ask as well, each for a moment."""
    deadline = time.monotonic() + 60
    while True:
        try:
            fcntl.flock(clock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert time.monotonic() < deadline, "a stopped process holds the lock"
            time.sleep(0.001)
        else:
            return
