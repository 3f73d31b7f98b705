"""The size and length of the clip, and what its pictures are made of: colours, edges, noise.

Colours are red, green, blue from 0 to 1; y grows downwards. Noise keeps a surface from falling
apart where a picture would be flat; every random number has a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 30, 10

BEAT_S = 0.625
"""Of the tune; the lighthouse keeps it."""

X = np.arange(WIDTH, dtype=np.float32)[None, :]
Y = np.arange(HEIGHT, dtype=np.float32)[:, None]
TILE = 512


def colour(*rgb: float) -> Array:
    """Turn 0..255 values into a colour."""
    return np.array(rgb, dtype=np.float32) / 255


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    s: Array = np.clip((x - low) / (high - low), 0, 1)
    return s * s * (3 - 2 * s)


def mix(a: Array, b: Array, share: Array) -> Array:
    """Blend two pictures or colours; ``share`` is a plane."""
    blend: Array = a + (b - a) * share[..., None]
    return blend


def cover(distance: Array) -> Array:
    """Anti-alias an edge: the covered share of a pixel at this signed distance inside."""
    covered: Array = np.clip(distance + 0.5, 0, 1)
    return covered


def fractal_noise(seed: int, octaves: int = 7, cells: int = 4) -> Array:
    """Make a seamless tile of fractal value noise from 0 to 1."""
    rng = np.random.default_rng(seed)
    total = np.zeros((TILE, TILE), dtype=np.float32)
    for octave in range(octaves):
        count = cells << octave
        lattice = rng.random((count, count), dtype=np.float32)
        at = np.arange(TILE, dtype=np.float32) * count / TILE
        whole = at.astype(int) % count
        part = smoothstep(0, 1, at % 1)
        after = (whole + 1) % count
        rows = lattice[whole] + (lattice[after] - lattice[whole]) * part[:, None]
        total += 0.5**octave * (rows[:, whole] + (rows[:, after] - rows[:, whole]) * part)
    low, high = np.quantile(total, (0.01, 0.99))
    tile: Array = np.clip((total - low) / (high - low), 0, 1).astype(np.float32)
    return tile


def sample(tile: Array, u: Array, v: Array) -> Array:
    """Look up a seamless tile between its points."""
    u, v = np.broadcast_arrays(u % TILE, v % TILE)
    left, top = u.astype(int) % TILE, v.astype(int) % TILE
    right, below = (left + 1) % TILE, (top + 1) % TILE
    du, dv = u % 1, v % 1
    upper = tile[top, left] * (1 - du) + tile[top, right] * du
    lower = tile[below, left] * (1 - du) + tile[below, right] * du
    return np.asarray(upper * (1 - dv) + lower * dv, dtype=np.float32)


def paint(picture: Array, tint: Array, share: Array) -> None:
    """Blend a colour or picture into ``picture`` in place."""
    picture += (tint - picture) * share[..., None]
