"""Photos and paintings in files, as they are meant to be seen: upright, opaque, in 8 bits."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")

_LARGE: Final = 80_000_000
"""Pixels; JPEGs beyond that are decoded at a fraction of their size, where that is enough."""

# `read_photo` has a limit of its own, which is for one picture and not for the whole process.
Image.MAX_IMAGE_PIXELS = None


class UnreadablePhoto(Exception):
    """A file is not a picture that can be read; the message says why."""


class TooManyPixels(UnreadablePhoto):
    """A picture is larger than asked for; the message is its size, like ``640x480``."""


def read_photo(path: Path, *, most_pixels: int, least_side: int | None = None) -> Image.Image:
    """Return a picture in RGB, 8 bits a channel, upright, and on white where it is transparent.

    ``least_side``: the short side that is enough. A JPEG of very many pixels, such as a museum's
    scan, is then decoded at a fraction of its size, which is at least that large.

    Raises:
        TooManyPixels: it has more than ``most_pixels``; nothing was decoded.
        UnreadablePhoto: the file is damaged, no picture, or of another format than `FORMATS`.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with Image.open(file, formats=FORMATS) as photo:
                if photo.width * photo.height > most_pixels:
                    raise TooManyPixels(f"{photo.width}x{photo.height}")
                if least_side is not None and photo.width * photo.height > _LARGE:
                    scale = least_side / min(photo.size)
                    photo.draft(None, (int(photo.width * scale), int(photo.height * scale)))
                return _opaque(_upright(_of_8_bits(photo)))
        except UnidentifiedImageError as error:
            raise UnreadablePhoto(f"none of {', '.join(FORMATS)}") from error
        except TooManyPixels:
            raise
        except Exception as error:  # for a damaged file, Pillow may raise anything
            raise UnreadablePhoto(str(error) or type(error).__name__) from error


def _of_8_bits(photo: Image.Image) -> Image.Image:
    """Scale 16 bits, as in scans, to 8; Pillow itself would cut off all that is above 255."""
    if not photo.mode.startswith("I"):
        return photo
    return Image.fromarray((np.asarray(photo).clip(0, 65535) // 257).astype(np.uint8))


def _upright(photo: Image.Image) -> Image.Image:
    """Turn a picture as its camera was held, if its notes can be read."""
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(photo)
    return photo


def _opaque(photo: Image.Image) -> Image.Image:
    if not photo.has_transparency_data:
        return photo.convert("RGB")
    colours = photo.convert("RGBA")
    paper = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(paper, colours).convert("RGB")
