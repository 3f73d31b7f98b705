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

KEPT_BYTES: Final = 16 << 20
"""Limit on cached canvases: four of 1280x720, at four bytes per pixel. Wherever the camera stands
still, frames of one size have the same place, so one canvas serves all lanes."""

Drawn = npt.NDArray[np.float32]
Draw = Callable[[Frames, Canvas], Drawn]
"""Draws the canvas that lies under frames."""

_Key = tuple[bytes, int, int, int, int]


class Canvases:
    """The canvases of all styles; styles with the same drawing share theirs. Thread-safe.

    A canvas is drawn once for frames of one size and place, for as long as it stays in the cache.
    The latest one always stays.
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
            drawn = [self._find(key, frames[:1]) for key in keys]
            return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)

        return draw

    def _find(self, key: _Key, frame: Frames) -> Drawn:
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        drawn = self._draw(key, frame)
        with self._lock:
            self._kept[key] = drawn
            while len(self._kept) > 1 and self._bytes() > self._kept_bytes:
                self._kept.popitem(last=False)
        return drawn

    def _bytes(self) -> int:
        return sum(one.nbytes for one in self._kept.values())

    def _draw(self, key: _Key, frame: Frames) -> Drawn:
        drawing, _, _, *place = key
        session = self._sessions[drawing]
        names = [given.name for given in session.get_inputs()]
        given = (frame, np.array([place], np.int32))  # of the frame only its size matters
        drawn: Drawn = session.run(None, dict(zip(names, given, strict=True)))[0]
        return drawn
