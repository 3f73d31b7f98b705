"""What is taken when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from shared.styles.gallery import Gallery

DEFAULT_STYLE: Final = "starry-night"
MOST_HOURS: Final = 7 * 24
"""A link's longest life: that of the keys which storage hands out to people who sign in."""
SAMPLE: Final = Path(__file__).parent / "sample.mp4"


def gallery() -> Gallery:
    """Open the gallery with the styles of the folder that ``STYLES_DIR`` names, if it does."""
    folder = os.environ.get("STYLES_DIR")
    return Gallery(Path(folder) if folder else None)


def default_dir() -> Path:
    """Return where a stack lives."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stylestream"
