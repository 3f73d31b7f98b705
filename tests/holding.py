"""Processes of a stack that a test stops, so that whatever waits for them cannot end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from chaos.signals import signal_group
from local.stack import Stack


@contextmanager
def held(stack: Stack, name: str) -> Iterator[None]:
    """Stop a process of a stack, and let it continue at the end in any case."""
    (process,) = (one for one in stack.processes if one.name == name)
    signal_group(process.pid, signal.SIGSTOP)
    try:
        assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
        yield
    finally:
        signal_group(process.pid, signal.SIGCONT)
