"""Ports for the servers of tests, distinct for test processes that run in parallel."""

from __future__ import annotations

import os
import random
import socket

_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# Below the blocks that stacks claim. No two tests of a run are handed the same one, between the
# look at it and its use neither; they are shuffled for other runs on the same machine.
_ports = range(10_000 + _PROCESS, 20_000, _PROCESSES)
_candidates = iter(random.SystemRandom().sample(_ports, len(_ports)))


def unused_port() -> int:
    """Find a loopback port that nothing listens on."""
    for port in _candidates:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"all {len(_ports)} ports were asked for")
