"""A chunk that kills every process that paints it, like a frame that crashes a codec or a driver.

A real frame of this kind cannot be made reliably, so the run does the killing: it watches for the
moment when an attempt at the chunk is counted, and kills the process that paints it. That is the
worker at the first attempt, and the child that paints a suspect chunk at every later one. The child
has the chunk by then: one that ends earlier does not count against the chunk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

import psutil

from chaos.history import BlobCall
from local.processes import Supervised
from shared.contracts.layout import chunk_blob

_ISOLATED: Final = "stylizer.attempts.isolated_child"

Pool = Callable[[], list[Supervised]]
"""Returns the pool's present processes."""


class Poison:
    """Kills every process that paints one chunk."""

    def __init__(self, job_id: str, chunk: int, pool: Pool) -> None:
        self._chunk = chunk_blob(job_id, chunk)
        self._pool = pool

    async def strike(self, call: BlobCall) -> None:
        """Check a request before its answer is passed on; if it counts an attempt, kill its sender.

        At later attempts, the sender's child is killed.
        """
        if call.name != self._chunk or not call.succeeded or "attempts" not in call.metadata:
            return
        worker = owner_of(call.client, self._pool)
        if worker is None:
            return
        # The process dies before it can learn that its attempt was counted.
        first = call.metadata["attempts"] == "1"
        for process in [worker] if first else _children(worker, self._chunk):
            _kill(process)


def owner_of(port: int, pool: Pool) -> psutil.Process | None:
    """Return the process of ``pool`` that uses a local TCP port; None if it is gone."""
    for member in pool():
        if member.pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(member.pid)
                if port in ports_of(process):
                    return process
    return None


def ports_of(process: psutil.Process) -> set[int]:
    """Return the local TCP ports that a process uses."""
    connections = process.net_connections("tcp")
    return {connection.laddr.port for connection in connections if connection.laddr}


def _children(worker: psutil.Process, chunk: str) -> list[psutil.Process]:
    """Return the children in which the worker isolates a suspect chunk: one, or none."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in worker.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if {_ISOLATED, chunk} <= set(child.cmdline()):
                    found.append(child)
    return found


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
