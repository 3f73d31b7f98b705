"""Training pictures: crops from a folder of photographs, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from PIL import Image
from torch import Tensor

from shared.contracts.errors import ConfigurationError
from shared.media.photos import TooManyPixels, UnreadablePhoto, read_photo
from training.network import MULTIPLE

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
PAINTED_SIDE: Final = 360
"""The short side, in pixels, at which photographs are painted for measuring."""

LEAST_SIDE: Final = 64
"""In pixels; smaller pictures, such as icons, show nothing to learn from."""

MOST_PICTURES: Final = 500
"""To train with; all of them together fit into memory."""

_MOST_PIXELS: Final = 1_000_000_000
_SMALLEST: Final = 1.0
_LARGEST: Final = 2.2
_KEPT: Final = 720
_FLAT_SHARE: Final = 1 / 8
_FLAT_CELLS: Final = 4


def read_picture(path: Path, short_side: int | None = None) -> Tensor:
    """Return a picture as (3, H, W), RGB, 0..1; ``short_side`` scales it.

    Raises:
        ConfigurationError: the file is not a picture, or has less than `LEAST_SIDE` pixels a side.
    """
    picture = _read(path, short_side)
    if short_side is not None:
        picture = _scaled(picture, short_side)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _read(path: Path, short_side: int | None) -> Image.Image:
    """Read a picture; one of very many pixels is read at twice ``short_side`` or more."""
    try:
        enough = None if short_side is None else 2 * short_side
        picture = read_photo(path, most_pixels=_MOST_PIXELS, least_side=enough)
    except TooManyPixels as error:
        raise ConfigurationError(
            [f"{path} has {error} pixels, too many to read: scale it down"]
        ) from error
    except UnreadablePhoto as error:
        raise ConfigurationError([f"{path} is not a picture that can be read: {error}"]) from error
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror or error}"]) from error
    if min(picture.size) < LEAST_SIDE:
        size = f"{picture.width}x{picture.height}"
        raise ConfigurationError(
            [f"{path} has {size} pixels, too few to train with: it takes {LEAST_SIDE} a side"]
        )
    return picture


def _scaled(picture: Image.Image, short_side: int) -> Image.Image:
    scale = short_side / min(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def frames(path: Path, short_side: int = PAINTED_SIDE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture as one frame for a network: (1, 3, H, W), uint8, sides multiples of 4."""
    picture = (read_picture(path, short_side) * 255).round().byte().numpy()
    height, width = (length // MULTIPLE * MULTIPLE for length in picture.shape[1:])
    return np.ascontiguousarray(picture[None, :, :height, :width])


def pictures_in(folder: Path) -> list[Path]:
    """Return the folder's pictures by name.

    Raises:
        ConfigurationError: there are none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not _is_hidden(path.relative_to(folder))
    )
    if not found:
        raise ConfigurationError([f"{folder} holds no pictures"])
    return found


def _is_hidden(path: Path) -> bool:
    """Return whether a system put a file there for itself, such as thumbnails."""
    return any(part.startswith(".") for part in path.parts)


def choose(pictures: list[Path], report: Callable[[str], None]) -> list[Path]:
    """Return the pictures to train with: `MOST_PICTURES` from all over the list that can be read.

    ``report`` is called for each picture, with a sentence if it cannot be used; what it raises ends
    the search.

    Raises:
        ConfigurationError: none can be used.
    """
    chosen, problem = [], ""
    for picture in pictures[:: math.ceil(len(pictures) / MOST_PICTURES)]:
        try:
            _read(picture, _KEPT)
        except ConfigurationError as error:
            problem = str(error)
            report(problem)
        else:
            chosen.append(picture)
            report("")
    if not chosen:
        raise ConfigurationError([f"no picture can be used: {problem}"])
    return chosen


class Crops:
    """Any number of square crops of ``size`` pixels, at random places and scales, some mirrored.

    A crop shows between 1 and 2.2 times its size of a photograph. One of eight is blurred until it
    is nearly flat, like skies and walls.
    """

    def __init__(self, photos: list[Path], *, size: int, seed: int) -> None:
        self._photos = photos
        self._size = size
        self._seed = seed
        self._read: dict[int, Image.Image] = {}

    def __getitem__(self, index: int) -> Tensor:
        """Return a crop (3, H, W), 0..1; the same index always gives the same one."""
        chance = seeded(self._seed, index)

        def draw() -> float:
            return float(torch.rand((), generator=chance))

        # Every photograph once in each round, so that none is left out by chance.
        photo = self._photo(index % len(self._photos))
        side = min(photo.size) / (_SMALLEST + (_LARGEST - _SMALLEST) * draw())
        left, top = ((length - side) * draw() for length in photo.size)
        box = (left, top, left + side, top + side)
        crop = photo.resize((self._size, self._size), Image.Resampling.BICUBIC, box, 2.0)
        pixels = torch.from_numpy(np.array(crop)).permute(2, 0, 1).float() / 255
        if draw() < _FLAT_SHARE:
            pixels = _flat(pixels, draw())
        return pixels.flip(2) if draw() < 0.5 else pixels  # noqa: PLR2004 - half of them

    def _photo(self, number: int) -> Image.Image:
        """Return a photograph, cached at a size at which hundreds fit into memory."""
        if number not in self._read:
            picture = _read(self._photos[number], _KEPT)
            kept = picture if min(picture.size) <= _KEPT else _scaled(picture, _KEPT)
            self._read[number] = kept
        return self._read[number]


def _flat(crop: Tensor, contrast: float) -> Tensor:
    """Return a crop that is blurred to its colours, with their differences times ``contrast``."""
    few = F.adaptive_avg_pool2d(crop[None], _FLAT_CELLS)
    smooth = F.interpolate(few, size=crop.shape[1:], mode="bicubic")[0]
    mean = smooth.mean((1, 2), keepdim=True)
    return (mean + contrast * (smooth - mean)).clamp(0, 1)


def seeded(seed: int, step: int = 0) -> torch.Generator:
    """Return the random generator of one step, so that a resumed run draws the same numbers."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)
