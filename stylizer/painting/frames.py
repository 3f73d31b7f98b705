"""The arrays that networks take and return."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""Frames as a network takes and returns them, in its `Layout`: (N, 3, H, W) for planar RGB or
(N, 3 / 2 H, W) for I420, H and W multiples of 4."""

Canvas = npt.NDArray[np.int32]
"""Places of frames on the canvas: (1 or N, 2), down and across in quarters of a pixel."""

Painter = Callable[[Frames, Canvas], Frames]
"""Paints frames with one network. Safe to call from several threads at once.

A network without a canvas paints frames the same wherever they lie.
"""

Memory = Callable[[tuple[int, ...]], Frames]
"""Allocates an uninitialised uint8 array of a shape. Safe to call from several threads."""


def ordinary(shape: tuple[int, ...]) -> Frames:
    """Return an uninitialised array in ordinary, pageable memory."""
    return np.empty(shape, np.uint8)
