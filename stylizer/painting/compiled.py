"""Keeps compiled models, each of which serves one call at a time, within a limit of memory.

A compiled model holds memory for the largest picture that it has painted, for as long as it exists.
With one for every lane of every style, memory would grow with each style that was ever asked for.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import openvino

SPARE_BYTES: Final = 512 << 20
"""What idle models may hold, apart from as many models as were ever in use at once."""

_PIXEL: Final = 50
_MODEL: Final = 8 << 20
"""Bytes that a model holds per pixel of its largest picture, and for itself.

Measured at 640x360, 1280x720 and 1920x1080 in one and two threads: 26 to 48 bytes.
"""


class Compiled:
    """A compiled model; ``pixels`` is the size of the largest picture that it has painted."""

    __slots__ = ("model", "pixels", "request")

    def __init__(self, model: object, request: openvino.InferRequest) -> None:
        self.model = model
        self.request = request
        self.pixels = 0

    @property
    def size(self) -> int:
        """The bytes that it holds, approximately."""
        return _MODEL + _PIXEL * self.pixels


class IdleModels:
    """Idle compiled models, least recently used first. Safe to call from several threads.

    As many models are kept, idle or not, as were ever in use at once, and more if these fit into
    `SPARE_BYTES`.
    """

    def __init__(self, spare: int = SPARE_BYTES) -> None:
        self._spare = spare
        self._idle: OrderedDict[int, Compiled] = OrderedDict()
        self._in_use = self._most = 0
        self._lock = threading.Lock()

    def take(self, model: object) -> Compiled | None:
        """Take an idle copy of ``model``; None if the caller has to compile the copy it uses."""
        with self._lock:
            self._in_use += 1
            self._most = max(self._most, self._in_use)
            found = next((key for key, one in self._idle.items() if one.model is model), None)
            return None if found is None else self._idle.pop(found)

    def give_back(self, one: Compiled | None) -> None:
        """Give a copy back, to be kept while there is room; None stands for one that has failed."""
        with self._lock:
            self._in_use -= 1
            if one is not None:
                self._idle[id(one)] = one
            while self._is_full():
                self._idle.popitem(last=False)

    def drop(self) -> None:
        """Drop all idle copies."""
        with self._lock:
            self._idle.clear()

    def _is_full(self) -> bool:
        if self._in_use + len(self._idle) <= self._most:
            return False
        beyond = len(self._idle) + self._in_use - self._most
        oldest = list(self._idle.values())[:beyond]
        return sum(one.size for one in oldest) > self._spare
