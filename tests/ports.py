"""Ports for the servers of tests, distinct for test processes that run in parallel."""

from __future__ import annotations

import random
import socket

# Below the blocks that stacks claim, and shuffled: no two tests are handed the same one.
_candidates = iter(random.SystemRandom().sample(range(10_000, 20_000), 10_000))


def unused_port() -> int:
    """Find a loopback port that nothing listens on."""
    for port in _candidates:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("ten thousand ports were asked for")
