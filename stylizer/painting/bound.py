"""Runs a network on a GPU: a session per shape, persistent buffers, copies that overlap kernels.

ONNX Runtime plans all convolutions anew, which takes seconds, whenever a session gets another shape
than before. So a session here only ever gets one shape: each frame size has its own session, and a
batch with fewer frames is padded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import numpy as np
import onnxruntime as ort

from stylizer.painting.frames import Canvas, Frames, Memory, ordinary

OpenSession = Callable[[], ort.InferenceSession]

_SIZES_KEPT: Final = 8
"""Frame sizes whose sessions are kept: a job has two, since frames that the camera has moved are
larger by a cell, and pools paint few jobs at a time."""

_AT_ONCE: Final = 2
"""Concurrent calls on the GPU: one computes while another copies. More would only take memory."""


class BoundPainter:
    """A `Painter` that copies frames to ``place``, "cuda" or "cpu", and painted frames back.

    ``memory`` allocates the arrays that it returns. Frames from the same memory are copied fastest.
    """

    def __init__(self, open_session: OpenSession, place: str, memory: Memory = ordinary) -> None:
        self._open_session = open_session
        self._place = place
        self._memory = memory
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._sizes: OrderedDict[tuple[int, ...], _Batches] = OrderedDict()
        self._opening = threading.Lock()

    def __call__(self, frames: Frames, canvas: Canvas) -> Frames:
        """Return the painted frames in an array of their own."""
        batches = self._batches(frames.shape)
        with self._turns:
            return batches.paint(frames, canvas)

    def _batches(self, shape: tuple[int, ...]) -> _Batches:
        number, key = shape[0], shape[1:]
        with self._opening:
            batches = self._sizes.get(key)
            if batches is None or batches.number < number:
                batches = _Batches(self._open_session(), self._place, shape, self._memory)
                self._sizes[key] = batches
            self._sizes.move_to_end(key)
            if len(self._sizes) > _SIZES_KEPT:
                self._sizes.popitem(last=False)
            return batches


class _Batches:
    """A session that paints batches of one shape."""

    def __init__(
        self, session: ort.InferenceSession, place: str, shape: tuple[int, ...], memory: Memory
    ) -> None:
        self.number: Final = shape[0]
        """Frames per batch."""
        self._session = session
        self._place = place
        self._shape = shape
        self._memory = memory
        self._idle: deque[_Buffers] = deque()

    def paint(self, frames: Frames, canvas: Canvas) -> Frames:
        painted = self._memory(self._shape)
        try:
            buffers = self._idle.pop()
        except IndexError:
            buffers = _Buffers(self._session, self._place, self._shape)
        buffers.paint(self._filled(frames), self._places(canvas), painted)
        self._idle.append(buffers)  # buffers of a call that has failed are not reused
        return painted[: len(frames)]

    def _filled(self, frames: Frames) -> Frames:
        if len(frames) == self.number:
            return frames
        filled = self._memory(self._shape)
        filled[: len(frames)] = frames
        filled[len(frames) :] = 0
        return filled

    def _places(self, canvas: Canvas) -> Canvas:
        """Return a place for every frame of the batch."""
        which = np.minimum(np.arange(self.number), len(canvas) - 1)
        return canvas[which]


class _Buffers:
    """Input and canvas of one shape on the device, bound to a session."""

    def __init__(self, session: ort.InferenceSession, place: str, shape: tuple[int, ...]) -> None:
        self._session = session
        self._binding = session.io_binding()
        names = [given.name for given in session.get_inputs()]
        kinds = ((shape, np.uint8), ((shape[0], 2), np.int32))
        # A network without a canvas has one name.
        self._given = [
            ort.OrtValue.ortvalue_from_shape_and_type(dimensions, element, place, 0)
            for _, (dimensions, element) in zip(names, kinds, strict=False)
        ]
        for name, value in zip(names, self._given, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        (self._output,) = session.get_outputs()

    def paint(self, frames: Frames, canvas: Canvas, painted: Frames) -> None:
        for value, given in zip(self._given, (frames, canvas), strict=False):
            value.update_inplace(given)
        # ONNX Runtime copies an output that is bound to host memory there once it is computed.
        self._binding.bind_ortvalue_output(
            self._output.name, ort.OrtValue.ortvalue_from_numpy(painted)
        )
        self._session.run_with_iobinding(self._binding)
