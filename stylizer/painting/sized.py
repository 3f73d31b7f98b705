"""Runs a network on the processor: a session for each shape of its inputs.

Where shapes are known in advance, ONNX Runtime adds two tensors within the convolution that makes
one of them; otherwise it takes another pass over all three. A frame of 640x360 then takes 0.91 of
the time, one of 1280x720 takes 0.84.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import onnx
import onnxruntime as ort

from stylizer.painting.arena import shared_arena
from stylizer.painting.canvases import Drawn
from stylizer.painting.frames import Canvas, Frames

PaintOn = Callable[[Frames, Canvas | Drawn], Frames]
"""Paints frames with a network whose second input, if any, is their places or their canvas."""

Sizes = Mapping[str, int]
"""The lengths of a network's free dimensions, by name."""

_KEPT: Final = 4
"""Shapes whose sessions are kept: a job has two, since frames that the camera has moved are larger
by a cell."""

_Shapes = tuple[tuple[int, ...], ...]


class SizedPainter:
    """A `PaintOn` whose sessions are opened, in some 10 ms, for the shapes that come."""

    def __init__(self, network: bytes, start: Callable[[Sizes], ort.InferenceSession]) -> None:
        self._start = start
        inputs = onnx.load_from_string(network).graph.input
        self._names = [
            [side.dim_param for side in given.type.tensor_type.shape.dim] for given in inputs
        ]
        self._sessions: OrderedDict[_Shapes, ort.InferenceSession] = OrderedDict()
        self._opening = threading.Lock()

    def __call__(self, frames: Frames, canvas: Canvas | Drawn) -> Frames:
        """Return the painted frames in an array of their own."""
        if len(canvas) != len(frames):
            # One canvas for several frames would be added after the convolution, and rounded there.
            canvas = canvas.repeat(len(frames), axis=0)
        return run(self._session((frames.shape, canvas.shape)), frames, canvas)

    def _session(self, shapes: _Shapes) -> ort.InferenceSession:
        with self._opening:
            if shapes not in self._sessions:
                self._sessions[shapes] = self._start(self._sizes(shapes))
            self._sessions.move_to_end(shapes)
            if len(self._sessions) > _KEPT:
                self._sessions.popitem(last=False)
            return self._sessions[shapes]

    def _sizes(self, shapes: _Shapes) -> Sizes:
        # A network without a canvas has one input.
        lengths = {
            (name, length)
            for names, shape in zip(self._names, shapes, strict=False)
            for name, length in zip(names, shape, strict=True)
            if name
        }
        # A file may call two sides of different lengths the same.
        times = Counter(name for name, _ in lengths)
        return {name: length for name, length in lengths if times[name] == 1}


def run(session: ort.InferenceSession, frames: Frames, canvas: Canvas | Drawn) -> Frames:
    """Return the painted frames in an array of their own."""
    shared_arena().prepare(frames.nbytes)
    names = [given.name for given in session.get_inputs()]
    given = dict(zip(names, (frames, canvas), strict=False))
    painted: Frames = session.run(None, given)[0]
    return painted
