"""Keeps dark in a painting what is dark in its picture.

A style paints black in the darkest colour of its painting, with strokes: olive in a wheatfield, a
grey blue in a wave. A night would turn into an overcast day, and a fade to black would end in a
bright wall. So dark regions of a painting are darkened, and a picture without any light fades.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from shared.contracts.style_blend import WHOLE
from shared.media.pixels import BLACK, luma, plane_arrays
from stylizer.painting.mixing import mix

_BRIGHT: Final = 56
"""The luma from which on pixels are not dark."""
_DARKNESS: Final = np.clip((_BRIGHT - np.arange(256)) / (_BRIGHT - BLACK), 0, 1).astype(np.float32)
"""By luma: from 1 for black to 0 for what is not dark."""

_DARK: Final = 36
"""How much lighter than black the painting of a black region may be, on average. Beside lit regions
that is night, and strokes can still be seen."""

_LIT: Final = 80
"""The luma that a picture reaches somewhere unless it fades. Faded to that, a picture in daylight
is hardly recognisable any more; a night with one lamp is far above it."""

_DARKEST: Final = (16, 128, 128)
"""Black in the planes of a picture."""

_REGIONS: Final = 45
"""Regions along a picture's shorter side: a third of a stroke each."""
_MOST_REGIONS: Final = 180
"""Regions along the longer side at most."""
_SAMPLES: Final = 4
"""Pixels looked at along a side of a region: sixteen tell its mean."""


class Darkness(NamedTuple):
    """How dark the regions of a picture are, and how light it is as a whole."""

    regions: NDArray[np.float32]
    """The mean darkness of each, of shape ``(rows, columns)``: from 1 if it is black to 0."""
    light: float
    """0 if the picture is black, 1 if there is light anywhere in it."""


class _Scratch(threading.local):
    """What a thread reuses from frame to frame; swscale contexts must not be shared."""

    def __init__(self) -> None:
        self.planes = [VideoReformatter(), VideoReformatter(), VideoReformatter()]


_scratch = _Scratch()


def darkness(source: av.VideoFrame) -> Darkness | None:
    """Return how dark a ``yuv420p`` picture is; None if no region of it is dark."""
    regions = _means(_DARKNESS.take(_samples(luma(source))))
    if not regions.any():
        return None
    light = (int(luma(source).max()) - BLACK) / (_LIT - BLACK)
    return Darkness(regions, min(max(light, 0.0), 1.0))


def darken(painted: av.VideoFrame, source: Darkness | None) -> None:
    """Darken a painted ``yuv420p`` picture where its source is dark, in place.

    The painting of a black region keeps at most the mean luma of `_DARK`, or less if the whole
    picture fades. Other regions are darkened in proportion, and none is made lighter.
    """
    if source is None:
        return
    lighter = np.maximum(_smooth(_means(_samples(luma(painted))), 3) - _DARKEST[0], 1)
    excess = np.maximum(1 - source.light * _DARK / lighter, 0)
    kept = np.round(WHOLE * (1 - _smooth(source.regions * excess, 1))).astype(np.uint8)
    if kept.min() == WHOLE:
        return
    regions = av.VideoFrame.from_ndarray(kept, format="gray")
    planes = zip(_scratch.planes, _DARKEST, plane_arrays(painted), strict=True)
    for scaler, black, plane in planes:
        rows, columns = plane.shape
        percent = scaler.reformat(
            regions, columns, rows, interpolation=Interpolation.BILINEAR, threads=1
        )
        mix(np.broadcast_to(np.uint8(black), plane.shape), plane, luma(percent))


def _samples(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a few pixels of each region, as an array in which regions lie as in the picture."""
    side = max(1.0, min(plane.shape) / _REGIONS)
    rows, columns = (min(max(1, round(length / side)), _MOST_REGIONS) for length in plane.shape)
    return plane.take(_places(plane.shape[0], rows), 0).take(_places(plane.shape[1], columns), 1)


def _places(length: int, regions: int) -> NDArray[np.intp]:
    samples = regions * _SAMPLES
    return (2 * np.arange(samples) + 1) * length // (2 * samples)


def _means(samples: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each region's samples."""
    # Summed one sample of each region at a time: five times as fast as `mean` over two axes.
    each = range(_SAMPLES)
    parts = [samples[row::_SAMPLES, column::_SAMPLES] for row in each for column in each]
    means: NDArray[np.float32] = np.add.reduce(parts, dtype=np.float32) / np.float32(len(parts))
    return means


def _smooth(regions: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Blur by ``reach`` regions each way, with binomial weights."""
    for _ in range(reach):
        regions = _blurred(_blurred(regions).T).T
    return regions


def _blurred(regions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur over three rows; the first and the last are continued."""
    padded = np.concatenate([regions[:1], regions, regions[-1:]])
    blurred: NDArray[np.float32] = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return blurred
