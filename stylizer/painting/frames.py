"""The arrays that networks take and give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""What a network takes and gives: (N, 3, H, W), planar RGB, H and W multiples of 4."""

Canvas = npt.NDArray[np.int32]
"""Where on the canvas frames lie: (1 or N, 2), quarters of pixels down and across."""

Painter = Callable[[Frames, Canvas], Frames]
"""Paints frames with one network. Safe to call from several threads at once.

A network without a canvas paints them the same wherever they lie.
"""

Memory = Callable[[tuple[int, ...]], Frames]
"""Makes an array of uint8 of a shape, with anything in it. Safe to call from several threads."""


def ordinary(shape: tuple[int, ...]) -> Frames:
    """Return an array in the process's own memory."""
    return np.empty(shape, np.uint8)
