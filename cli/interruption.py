"""What happens when Ctrl-C interrupts a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from shared.contracts.errors import StylestreamError

INTERRUPTED: Final = 130
"""The exit code."""


class Stopped(Exception):
    """Raised in a thread whose command was interrupted."""


class Interrupted(StylestreamError):
    """Something that an interrupted command has begun goes on; the sentence says what."""


def leave_when_interrupted() -> None:
    """Let Ctrl-C end this process at once, because it has nothing to clean up yet.

    Modules that are being loaded would let a ``KeyboardInterrupt`` through as a traceback, or
    swallow it.
    """
    if _heeds_ctrl_c():
        signal.signal(signal.SIGINT, _leave)


def raise_when_interrupted() -> None:
    """Undo `leave_when_interrupted`."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C cancel the current task; ignore all others until the process has ended.

    For tasks whose cleanup takes a moment and must be complete.
    """
    # Imported late: Ctrl-C should be handled before anything large is loaded.
    import asyncio

    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None or not _heeds_ctrl_c():
        yield
        return
    pressed = False

    def press() -> None:
        nonlocal pressed
        if not pressed:
            pressed = True
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, press)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if pressed:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _leave(*_: object) -> NoReturn:
    os.write(2, b"stylestream: interrupted\n")
    os._exit(INTERRUPTED)


def _heeds_ctrl_c() -> bool:
    """Return whether Ctrl-C concerns this process: shells let background processes ignore it."""
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
