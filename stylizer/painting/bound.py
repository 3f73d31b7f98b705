"""Runs a network on buffers that stay where they are: a GPU then allocates nothing for a batch.

What `session.run` does by itself for a GPU is to allocate input and output anew for every call.
Here both are bound once for a shape and a caller; a call copies bytes up, computes, and copies
bytes down.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Frames = npt.NDArray[np.uint8]
"""What a network takes and gives: (N, 3, H, W), planar RGB, H and W multiples of 4."""

Canvas = npt.NDArray[np.int32]
"""Where on the canvas frames lie: (1 or N, 2), quarters of pixels down and across."""

Painter = Callable[[Frames, Canvas], Frames]
"""Paints frames with one network. Safe to call from several threads at once.

A network without a canvas paints them the same wherever they lie.
"""

_SHAPES_KEPT: Final = 4
"""Shapes whose buffers stay: a job has one size, and its last batch may be smaller."""

_Shapes = tuple[tuple[int, ...], tuple[int, ...]]


class BoundPainter:
    """A `Painter` on buffers of ``place``, "cuda" or "cpu"; each call has its own.

    Memory is bounded: as many buffers of a shape as calls were in flight at once, of the
    `_SHAPES_KEPT` shapes that were painted last.
    """

    def __init__(self, session: ort.InferenceSession, place: str) -> None:
        self._session = session
        self._place = place
        self._idle: OrderedDict[_Shapes, deque[_Buffers]] = OrderedDict()
        self._sorting = threading.Lock()

    def __call__(self, frames: Frames, canvas: Canvas) -> Frames:
        """Return the painted frames, in memory of their own."""
        shapes = (frames.shape, canvas.shape)
        buffers = self._take(shapes) or _Buffers(self._session, self._place, shapes)
        painted = buffers.paint(frames, canvas)
        self._put(shapes, buffers)  # those of a call that has failed are not used again
        return painted

    def _take(self, shapes: _Shapes) -> _Buffers | None:
        with self._sorting:
            idle = self._idle.get(shapes)
            return idle.pop() if idle else None

    def _put(self, shapes: _Shapes, buffers: _Buffers) -> None:
        with self._sorting:
            self._idle.setdefault(shapes, deque()).append(buffers)
            self._idle.move_to_end(shapes)
            if len(self._idle) > _SHAPES_KEPT:
                self._idle.popitem(last=False)


class _Buffers:
    """Input, canvas and output of one shape, bound to a session."""

    def __init__(self, session: ort.InferenceSession, place: str, shapes: _Shapes) -> None:
        self._session = session
        self._binding = session.io_binding()
        names = [given.name for given in session.get_inputs()]
        types = (np.uint8, np.int32)
        # Without a canvas there is one name.
        self._given = [
            ort.OrtValue.ortvalue_from_shape_and_type(shape, element, place, 0)
            for _, shape, element in zip(names, shapes, types, strict=False)
        ]
        for name, value in zip(names, self._given, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        (output,) = session.get_outputs()
        self._painted = ort.OrtValue.ortvalue_from_shape_and_type(shapes[0], np.uint8, place, 0)
        self._binding.bind_ortvalue_output(output.name, self._painted)

    def paint(self, frames: Frames, canvas: Canvas) -> Frames:
        for value, given in zip(self._given, (frames, canvas), strict=False):
            value.update_inplace(given)
        self._session.run_with_iobinding(self._binding)
        painted: Frames = self._painted.numpy()
        # On the processor that is a view of the buffer, which the next call writes into.
        return painted.copy() if self._painted.device_name() == "cpu" else painted
