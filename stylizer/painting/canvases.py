"""Draws the canvases of networks that are split, and keeps those that were drawn last."""

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
"""What drawn canvases may hold: seventeen of 1280x720, at four bytes a pixel."""

Drawn = npt.NDArray[np.float32]
Draw = Callable[[Frames, Canvas], Drawn]
"""Draws the canvas that lies under frames."""

_Key = tuple[bytes, int, int, int, int]


class Canvases:
    """The canvases of all styles; those of one family have theirs in common. Thread-safe.

    Each is drawn once for frames of one size in one place, while it is among those drawn last.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._sessions: dict[bytes, ort.InferenceSession] = {}
        self._kept: OrderedDict[_Key, Drawn] = OrderedDict()
        self._lock = threading.Lock()

    def drawer(self, drawing: bytes, start: Callable[[], ort.InferenceSession]) -> Draw:
        """Return what draws with a network; ``start`` opens it, unless another style has."""
        with self._lock:
            if drawing not in self._sessions:
                self._sessions[drawing] = start()

        def draw(frames: Frames, canvas: Canvas) -> Drawn:
            height, width = frames.shape[2:]
            # Each place by itself, so that batches change nothing.
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
        frames = np.zeros((1, 3, height, width), np.uint8)  # their size is all that counts
        place = np.array([[down, across]], np.int32)
        names = [given.name for given in session.get_inputs()]
        drawn: Drawn = session.run(None, dict(zip(names, (frames, place), strict=True)))[0]
        return drawn
