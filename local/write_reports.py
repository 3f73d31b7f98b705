"""Which containers Azurite writes to, as it says itself, so that nobody has to look.

`local/azurite_preload.cjs` writes a line with a container's name into a pipe whenever it has
answered a request that wrote something there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Self

_CAPACITY = 1 << 16
"""As much as a pipe holds, so that no line is cut."""


class WriteReports:
    """Receives the reports while its context is open, in a running event loop.

    Reports are lost if thousands have not been read, as when the supervisor is suspended.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[str], bool], asyncio.Event]] = []
        self._read_end = self.pipe = -1
        """``pipe`` is the end for every Azurite that is started meanwhile."""

    def __enter__(self) -> Self:
        self._read_end, self.pipe = os.pipe()
        for end in (self._read_end, self.pipe):
            os.set_blocking(end, False)  # a supervisor that is suspended must not hold up Azurite
        asyncio.get_running_loop().add_reader(self._read_end, self._read)
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)
        for end in (self._read_end, self.pipe):
            os.close(end)

    def written(self, concerned: Callable[[str], bool]) -> asyncio.Event:
        """Return an event that is set by every write to a container whose name is ``concerned``."""
        event = asyncio.Event()
        self._waiting.append((concerned, event))
        return event

    def _read(self) -> None:
        containers = set(os.read(self._read_end, _CAPACITY).decode(errors="replace").splitlines())
        for concerned, event in self._waiting:
            if any(map(concerned, containers)):
                event.set()
