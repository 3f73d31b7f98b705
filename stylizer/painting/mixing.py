"""Mixes into a painted picture what its request keeps of the source.

Both are ``yuv420p`` in one colour space, so a mean of planes is the mean of pictures, and the
source's colours are simply its chroma planes. Everything here works in place.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from shared.contracts.style_blend import WHOLE
from shared.contracts.style_request import StyleRequest
from shared.media.pixels import plane_arrays

_BLOCK_PIXELS: Final = 1 << 16
"""Pixels mixed at once: few enough for intermediate results to stay in a core's cache."""


def keeps_source(request: StyleRequest) -> bool:
    """Return whether painting needs the source's pictures again at the end."""
    return request.preserve_color or request.strength_percent != WHOLE


def mix_in(source: av.VideoFrame, painted: av.VideoFrame, request: StyleRequest) -> None:
    """Mix ``source`` into ``painted``, in place, as ``request`` asks.

    If the source's colours are preserved, they are preserved exactly, whatever the strength.
    """
    luma, *chroma = zip(plane_arrays(source), plane_arrays(painted), strict=True)
    mixed = [luma] if request.preserve_color else [luma, *chroma]
    if request.strength_percent != WHOLE:
        for original, plane in mixed:
            mix(original, plane, request.strength_percent)
    if request.preserve_color:
        for original, plane in chroma:
            plane[...] = original


def mix(
    original: NDArray[np.uint8], plane: NDArray[np.uint8], percent: int | NDArray[np.uint8]
) -> None:
    """Replace a plane by its mean with another one, of which it is ``percent`` per cent itself.

    The percentage may be an array of the plane's shape.
    """
    weights = np.broadcast_to(np.uint8(percent), plane.shape)
    rows = max(1, _BLOCK_PIXELS // plane.shape[1])
    for top in range(0, plane.shape[0], rows):
        block = slice(top, top + rows)
        mixed = np.subtract(plane[block], original[block], dtype=np.int16)
        mixed *= weights[block]
        mixed += WHOLE // 2
        mixed //= WHOLE
        mixed += original[block]
        plane[block] = mixed
