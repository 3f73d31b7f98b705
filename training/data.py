"""Training pictures: crops out of a folder of photographs, the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shared.contracts.errors import ConfigurationError

_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_SMALLEST: Final = 1.0
_LARGEST: Final = 2.2


def read_picture(path: Path, short_side: int | None = None) -> Tensor:
    """Return a picture as (3, H, W), RGB, 0..1; ``short_side`` scales it.

    Raises:
        ConfigurationError: the file is no picture.
    """
    try:
        with Image.open(path) as image:
            picture = image.convert("RGB")
    except OSError as error:
        raise ConfigurationError([f"{path} is no picture: {error}"]) from error
    if short_side is not None:
        scale = short_side / min(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture, np.uint8)).permute(2, 0, 1).float() / 255


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
    """``count`` square crops of ``size`` pixels, at random places, scales and hands.

    A crop shows between 1 and 2.2 times its size of the photograph whose short side is scaled to
    fit; it is made when first asked for and kept, as 8-bit.
    """

    def __init__(self, photos: list[Path], *, size: int, count: int, seed: int) -> None:
        self._photos = photos
        self._size = size
        self._seed = seed
        self._count = count
        self._made: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._made:
            self._made[index] = self._cut(index)
        return self._made[index].float() / 255

    def _cut(self, index: int) -> Tensor:
        # Every photograph once a round, so that none is left out by chance.
        chance = seeded(self._seed, index)
        path = self._photos[index % len(self._photos)]
        spread = float(torch.rand((), generator=chance))
        short_side = round(self._size * (_SMALLEST + (_LARGEST - _SMALLEST) * spread))
        picture = read_picture(path, short_side)
        top, left = (
            int(torch.randint(length - self._size + 1, (), generator=chance))
            for length in picture.shape[1:]
        )
        crop = picture[:, top : top + self._size, left : left + self._size]
        if float(torch.rand((), generator=chance)) < 0.5:  # noqa: PLR2004 - half of them
            crop = crop.flip(2)
        return (crop * 255).round().to(torch.uint8).contiguous()


def seeded(seed: int, step: int = 0) -> torch.Generator:
    """Return the source of chance of one step: a run taken up again draws what it would have."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)
