"""Lets a painting fade to black where its picture does.

A style paints black in the darkest colour of its painting, with strokes: olive in a wheatfield, a
grey blue in a wave. Within a picture that is what a painter does; but a fade to black would end in
a bright wall. So the painting of a picture that is dark all over gets darker with it.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np

from shared.contracts.style_blend import WHOLE
from shared.media.pixels import BLACK, luma, plane_arrays
from stylizer.painting.mixing import mix

_LIT: Final = 80
"""The luma that a picture reaches somewhere if it is painted at its full brightness. Faded to that,
a picture in daylight is hardly recognisable any more; a night with one lamp is far above it."""

_DARKEST: Final = (16, 128, 128)
"""Black in the planes of a picture."""


def brightness(source: av.VideoFrame) -> int:
    """Return the brightness in per cent that the painting of a ``yuv420p`` picture keeps.

    It is 100 but for pictures without any light, and 0 for black ones. What is light is judged by
    the lightest pixel, so that white letters on black are painted as everything else.
    """
    peak = int(luma(source).max())
    return min(max(WHOLE * (peak - BLACK) // (_LIT - BLACK), 0), WHOLE)


def fade(painted: av.VideoFrame, percent: int) -> None:
    """Reduce the brightness of a painted ``yuv420p`` picture, in place."""
    if percent == WHOLE:
        return
    for black, plane in zip(_DARKEST, plane_arrays(painted), strict=True):
        mix(np.broadcast_to(np.uint8(black), plane.shape), plane, percent)
