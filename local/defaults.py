"""What is taken when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DEFAULT_STYLE: Final = "starry-night"
SAMPLE: Final = Path(__file__).parent / "sample.mp4"


def default_dir() -> Path:
    """Return where a stack lives."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stylestream"
