"""The proxy before the broker: knows which hub a client uses, and can make one hub unreachable."""

from __future__ import annotations

import re
from typing import Final
from weakref import WeakKeyDictionary

from chaos.relay import Line, Relay, Target

# A client sends its hub's name in clear with its token, before anything else.
_HUB: Final = re.compile(rb"(?:/|%2[fF])(uploads|frames|segments)\b")


class HubRelay(Relay):
    """Passes bytes between clients and the broker."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._away: str | None = None
        self._hubs: WeakKeyDictionary[Line, str] = WeakKeyDictionary()

    def turn_away(self, hub: str | None) -> None:
        """Disconnect all clients of this hub from now on, and of no other; None ends that."""
        self._away = hub
        for line, wanted in list(self._hubs.items()):
            if wanted == hub:
                line.cut()

    def inspect(self, line: Line, data: bytes) -> None:
        """Learn which hub a client uses."""
        if line not in self._hubs and (found := _HUB.search(data)):
            self._hubs[line] = found[1].decode()
        if self._away is not None and self._hubs.get(line) == self._away:
            raise ConnectionResetError
