"""Draws a small plot of a training's losses with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

_WIDTH: Final = 640
_HEIGHT: Final = 240
_LEFT: Final = 44
_EDGE: Final = 20
_PAPER: Final = "#ffffff"
_INK: Final = "#333333"
_RULE: Final = "#dddddd"
_COLOURS: Final = {"style": "#1f77b4", "content": "#d62728", "shift": "#2ca02c", "noise": "#9467bd"}


def draw_curve(curve: list[dict[str, float]], file: Path) -> None:
    """Write the weighted losses over the steps as a PNG file."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(image)
    last = max(point["step"] for point in curve)
    top = max(point.get(name, 0.0) for point in curve for name in _COLOURS)

    def place(step: float, loss: float) -> tuple[float, float]:
        across = (_WIDTH - _LEFT - _EDGE) * step / last
        up = (_HEIGHT - 2 * _EDGE) * loss / top
        return _LEFT + across, _HEIGHT - _EDGE - up

    for share in (0.0, 0.5, 1.0):
        level = top * share
        pen.line([place(0, level), place(last, level)], _RULE)
        pen.text((4, place(0, level)[1] - 6), f"{level:.2f}", _INK)
    pen.text((_WIDTH - _EDGE - 60, _HEIGHT - 14), f"{last:.0f} steps", _INK)
    for index, (name, colour) in enumerate(_COLOURS.items()):
        points = [place(point["step"], point[name]) for point in curve if name in point]
        if len(points) > 1:
            pen.line(points, colour, width=2)
        pen.text((_LEFT + 70 * index, 2), name, colour)
    image.quantize(16).save(file, optimize=True)
