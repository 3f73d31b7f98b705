"""What Ctrl-Z does while a command draws live lines: the terminal is left as the shell needs it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live


@contextmanager
def drawn(live: Live) -> Iterator[Live]:
    """Draw live lines on the terminal, but not while Ctrl-Z has suspended this process."""

    def suspend() -> None:
        drawing = live.is_started
        live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        if drawing:
            live.start()

    heeded = signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    loop = asyncio.get_running_loop()
    # From before the cursor is hidden until it is shown again.
    if heeded:
        loop.add_signal_handler(signal.SIGTSTP, suspend)
    try:
        with live:
            yield live
    finally:
        if heeded:
            loop.remove_signal_handler(signal.SIGTSTP)
