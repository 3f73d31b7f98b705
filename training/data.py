"""Training pictures: crops from a folder of photographs, the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from PIL import Image
from torch import Tensor

from shared.contracts.errors import ConfigurationError
from training.network import MULTIPLE

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
PAINTED_SIDE: Final = 360
"""The short side, in pixels, at which photographs are painted for measuring."""

_SMALLEST: Final = 1.0
_LARGEST: Final = 2.2
_KEPT: Final = 720
_FLAT_SHARE: Final = 1 / 8
_FLAT_CELLS: Final = 4


def read_picture(path: Path, short_side: int | None = None) -> Tensor:
    """Return a picture as (3, H, W), RGB, 0..1; ``short_side`` scales it.

    Raises:
        ConfigurationError: the file is not a picture.
    """
    try:
        with Image.open(path) as image:
            picture = image.convert("RGB")
    except OSError as error:
        raise ConfigurationError([f"{path} is not a picture: {error}"]) from error
    if short_side is not None:
        scale = short_side / min(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture, np.uint8)).permute(2, 0, 1).float() / 255


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
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise ConfigurationError([f"{folder} holds no pictures"])
    return found


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
            picture = read_picture(self._photos[number])
            image = Image.fromarray((picture * 255).round().byte().permute(1, 2, 0).numpy())
            scale = _KEPT / min(image.size)
            if scale < 1:
                size = (round(image.width * scale), round(image.height * scale))
                image = image.resize(size, Image.Resampling.LANCZOS)
            self._read[number] = image
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
