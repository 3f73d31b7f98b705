"""Puts pictures side by side, each with its name below, into one PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from client.drafts import written_whole
from shared.media.pixels import to_planar_rgb

MARGIN: Final = 12
_PAPER: Final = (250, 250, 248)
_INK: Final = (40, 40, 40)
_FONT_SIZE: Final = 16
CAPTION: Final = 26
"""Height of the line below a picture."""

Named = tuple[str, av.VideoFrame]


def draw_sheet(pictures: Sequence[Named], columns: int | None = None) -> Image.Image:
    """Arrange pictures of one size row by row; by default nearly in a square."""
    width, height = pictures[0][1].width, pictures[0][1].height
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    across, down = width + MARGIN, height + CAPTION + MARGIN
    sheet = Image.new("RGB", (columns * across + MARGIN, rows * down + MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for index, (name, frame) in enumerate(pictures):
        row, column = divmod(index, columns)
        left, top = MARGIN + column * across, MARGIN + row * down
        sheet.paste(_image(frame), (left, top))
        draw.text((left, top + height + 4), _fitting(name, width, font), _INK, font)
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as PNG.

    Raises:
        StylestreamError: the file cannot be written.
    """
    with written_whole(path) as draft:
        sheet.save(draft, "PNG")


def _image(frame: av.VideoFrame) -> Image.Image:
    planes = np.empty((3, frame.height, frame.width), np.uint8)
    to_planar_rgb(frame, planes)
    return Image.fromarray(planes.transpose(1, 2, 0))


def _fitting(name: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return as much of a name as fits."""
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"
