"""Measures what viewers see of a style: strokes and their distribution, light, edges, and the grid.

Strokes are measured as band energy: the standard deviation, in levels of 255, of luma between two
blurs, whose sizes are those of strokes in a picture 360 pixels high. Evenness, repetition, rim and
grid are measured on painted walls: nearly flat, light and dark, with the noise of a good camera.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from training.network import MULTIPLE
from training.steadiness import Frames, Paint

Plane = npt.NDArray[np.floating[Any]]

_HEIGHT: Final = 360
_STROKES: Final = (1.5, 4.0)
_FLAT_WINDOW: Final = 25
_FLAT_LEVELS: Final = 4.0
_ENOUGH_FLAT: Final = 0.05
_LIGHT_CELL: Final = 8
_WALLS: Final = ((205, 203, 200), (70, 74, 82), (150, 175, 200))
_WALL: Final = (384, 640)
_RAMP: Final = 6
_NOISE: Final = 2
_MARGIN: Final = 64
_RIMS: Final = (0, 8, 24, 48, 72)
_WINDOW: Final = 64
_FAR: Final = 32


def luma(frame: Frames) -> Plane:
    """Return the luma of one frame (1, 3, H, W) as (H, W), 0..255."""
    packed = np.ascontiguousarray(frame[0].transpose(1, 2, 0))
    return cv2.cvtColor(packed, cv2.COLOR_RGB2GRAY).astype(np.float32)


def strokes(light: Plane) -> Plane:
    """Return the part of a picture's luma that has the size of strokes."""
    fine, coarse = (cv2.GaussianBlur(light, (0, 0), sigma) for sigma in _STROKES)
    return np.asarray(fine - coarse)


def energy_of_painting(frame: Frames) -> float:
    """Return the band energy of a painting that is scaled to the height of a video."""
    light = luma(frame)
    scale = _HEIGHT / light.shape[0]
    small = cv2.resize(light, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(strokes(small).std())


def strokes_in_flat_areas(paint: Paint, frames: Iterable[Frames]) -> float:
    """Return the mean band energy of painted walls."""
    found = []
    for frame in frames:
        light = luma(frame)
        window = (_FLAT_WINDOW, _FLAT_WINDOW)
        variance = cv2.blur(light * light, window) - cv2.blur(light, window) ** 2
        flat = variance < _FLAT_LEVELS**2
        if flat.mean() > _ENOUGH_FLAT:
            band = strokes(luma(paint(frame)))[flat]
            found.append(np.sqrt(np.square(band).mean()))
    return float(np.mean(found))


def light_kept(paint: Paint, frames: Iterable[Frames]) -> float:
    """Return the correlation of the coarse luma of pictures and of their paintings."""
    found = []
    for frame in frames:
        a, b = (_coarse(luma(each)) for each in (frame, paint(frame)))
        found.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    return float(np.mean(found))


def _coarse(light: Plane) -> Plane:
    height, width = (length // _LIGHT_CELL for length in light.shape)
    return cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)


def walls() -> list[Frames]:
    """Return light and dark walls: a ramp of twelve levels, with noise of two."""
    chance = np.random.default_rng(0)
    height, width = _WALL
    ramp = np.linspace(-_RAMP, _RAMP, width)[None, None, None]
    found = []
    for colour in _WALLS:
        noise = chance.normal(0, _NOISE, (1, 3, height, width))
        wall = np.array(colour)[None, :, None, None] + ramp + noise
        found.append(np.clip(wall, 0, 255).round().astype(np.uint8))
    return found


def rim(paints: Sequence[Paint]) -> float:
    """Return by how many levels the worst rim of a wall differs in colour from its middle.

    Each of ``paints`` paints on another part of the canvas, so that strokes average out, and what
    belongs to the edge remains.
    """
    worst = 0.0
    for wall in walls():
        rings = np.mean([_rings(paint(wall)[0].astype(np.float64)) for paint in paints], axis=0)
        worst = max(worst, float(np.abs(rings).mean(1).max()))
    return worst


def _rings(painted: Plane) -> Plane:
    """Return how each of `_RIMS` differs from the middle of a picture: levels (rings, 3)."""
    height, width = painted.shape[1:]
    middle = painted[:, _MARGIN * 2 : -_MARGIN * 2, _MARGIN * 2 : -_MARGIN * 2].mean((1, 2))
    found = []
    for outer, inner in itertools.pairwise(_RIMS):
        ring = np.zeros((height, width), bool)
        ring[outer : height - outer, outer : width - outer] = True
        ring[inner : height - inner, inner : width - inner] = False
        found.append(painted[:, ring].mean(1) - middle)
    return np.array(found)


def evenness(paint: Paint) -> float:
    """Return the energy in the poorest tenth of a wall's windows, as a share of the mean."""
    shares = []
    for wall in walls():
        band = np.square(_inside(strokes(luma(paint(wall)))))
        rows, columns = (length // _WINDOW for length in band.shape)
        tiles = band[: rows * _WINDOW, : columns * _WINDOW].reshape(rows, _WINDOW, columns, _WINDOW)
        energies = np.sort(tiles.mean((1, 3)).ravel())
        poorest = energies[: max(1, len(energies) // 10)]
        shares.append(poorest.mean() / max(energies.mean(), 1e-9))
    return float(np.mean(shares))


def repetition(paint: Paint) -> float:
    """Return how much a painted wall repeats itself: the highest autocorrelation."""
    highest = []
    for wall in walls():
        band = _inside(strokes(luma(paint(wall))))
        band = band - band.mean()
        height, width = band.shape
        size = (2 * height, 2 * width)
        spectrum = np.square(np.abs(np.fft.rfft2(band, size)))
        overlap = np.abs(np.fft.rfft2(np.ones_like(band), size)) ** 2
        same, count = (np.fft.irfft2(x, size) for x in (spectrum, overlap))
        rows, columns = height // 2, width // 2
        down, across = np.mgrid[:rows, :columns]
        far = np.hypot(down, across) > _FAR
        mean = same[:rows, :columns] / count[:rows, :columns]
        highest.append(float(mean[far].max() / max(mean[0, 0], 1e-9)))
    return float(np.mean(highest))


def grid(paint: Paint) -> float:
    """Return the standard deviation, in levels, of what repeats every four pixels of a wall.

    Strokes of the canvas, which have no such period, average out; their rest is estimated with a
    period of five pixels, which the network does not have, and subtracted.
    """
    found = []
    for wall in walls():
        painted = _inside(luma(paint(wall)))
        found.append(_folded(painted, MULTIPLE) - _folded(painted, MULTIPLE + 1))
    return max(0.0, float(np.mean(found)))


def _folded(plane: Plane, step: int) -> float:
    rows, columns = (length // step for length in plane.shape)
    cells = plane[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return float(cells.mean((0, 2)).std())


def _inside(plane: Plane) -> Plane:
    return plane[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
