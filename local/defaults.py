"""The default style, sample video and gallery."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from shared.styles.gallery import Gallery

DEFAULT_STYLE: Final = "starry-night"
SAMPLE: Final = Path(__file__).parent / "sample.mp4"


def gallery() -> Gallery:
    """Open the gallery, with the styles of the folder in ``STYLES_DIR`` if that is set."""
    folder = os.environ.get("STYLES_DIR")
    return Gallery(Path(folder) if folder else None)
