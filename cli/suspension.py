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
        live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        live.start()

    heeded = signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    loop = asyncio.get_running_loop()
    with live:
        if heeded:
            loop.add_signal_handler(signal.SIGTSTP, suspend)
        try:
            yield live
        finally:
            if heeded:
                loop.remove_signal_handler(signal.SIGTSTP)
