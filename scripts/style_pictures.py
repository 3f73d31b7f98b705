"""Paints the picture of all styles for README.md.

    .venv/bin/python scripts/style_pictures.py

A face, a street and a landscape, each with as many styles beside it as make all of them once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from PIL import Image

ROOT: Final = Path(__file__).resolve().parents[1]
FOOTAGE: Final = ROOT / "docs/images/footage"
PICTURE: Final = ROOT / "docs/images/styles.jpg"
_FRAMES: Final = ("face", "street", "landscape")
_WIDTH: Final = 1640
_QUALITY: Final = 86


def main() -> None:
    """Paint and write the picture."""
    sys.path.insert(0, str(ROOT))
    from cli.contact_sheet import Named, draw_sheet
    from cli.pictures import read_picture
    from shared.contracts.style_request import StyleRequest
    from shared.styles.gallery import Gallery
    from stylizer.painting.chunk import paint_picture
    from stylizer.painting.engine import OnnxEngine

    gallery = Gallery()
    engine, styles = OnnxEngine(gallery, "cpu"), list(gallery.styles)
    pictures: list[Named] = []
    for row, name in enumerate(_FRAMES):
        source = read_picture(FOOTAGE / f"{name}.jpg").frame
        pictures.append((name, source))
        pictures += [
            (style, paint_picture(source, engine.paint, StyleRequest(style=style), engine.layout))
            for style in styles[row :: len(_FRAMES)]
        ]
    sheet = draw_sheet(pictures, len(pictures) // len(_FRAMES))
    height = round(sheet.height * _WIDTH / sheet.width)
    sheet.resize((_WIDTH, height), Image.Resampling.LANCZOS).save(PICTURE, quality=_QUALITY)


if __name__ == "__main__":
    main()
