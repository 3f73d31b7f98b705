"""Draws the canvases of networks that are split, and caches the most recently used ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from stylizer.painting.frames import Canvas, Frames

KEPT_BYTES: Final = 64 << 20
"""Limit on cached canvases: seventeen of 1280x720, at four bytes per pixel."""

Drawn = npt.NDArray[np.float32]
Draw = Callable[[Frames, Canvas], Drawn]
"""Draws the canvas that lies under frames."""

_Key = tuple[bytes, int, int, int, int]


class Canvases:
    """The canvases of all styles; styles with the same drawing share theirs. Thread-safe.

    A canvas is drawn once for frames of one size and place, for as long as it stays in the cache.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._sessions: dict[bytes, ort.InferenceSession] = {}
        self._kept: OrderedDict[_Key, Drawn] = OrderedDict()
        self._lock = threading.Lock()

    def drawer(self, drawing: bytes, start: Callable[[], ort.InferenceSession]) -> Draw:
        """Return a function that draws with a network; ``start`` opens it unless it is open."""
        with self._lock:
            if drawing not in self._sessions:
                self._sessions[drawing] = start()

        def draw(frames: Frames, canvas: Canvas) -> Drawn:
            height, width = frames.shape[2:]
            # Each place on its own, so that batching changes nothing.
            keys = [(drawing, height, width, int(down), int(across)) for down, across in canvas]
            drawn = [self._find(key) for key in keys]
            return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)

        return draw

    def _find(self, key: _Key) -> Drawn:
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        drawn = self._draw(*key)
        with self._lock:
            self._kept[key] = drawn
            while sum(one.nbytes for one in self._kept.values()) > self._kept_bytes:
                self._kept.popitem(last=False)
        return drawn

    def _draw(self, drawing: bytes, height: int, width: int, down: int, across: int) -> Drawn:
        session = self._sessions[drawing]
        frames = np.zeros((1, 3, height, width), np.uint8)  # only their size matters
        place = np.array([[down, across]], np.int32)
        names = [given.name for given in session.get_inputs()]
        drawn: Drawn = session.run(None, dict(zip(names, (frames, place), strict=True)))[0]
        return drawn
