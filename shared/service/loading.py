"""How a process loads its packages: without a collector that looks for garbage among them."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Look for garbage neither meanwhile nor, later, among what is there at the end.

    For the start of a process, whose packages stay for as long as it runs: looking through them
    again and again is a fifth of the CPU time of a short process. Nor is any looked for at its
    exit, after which the system has everything back.
    """
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
