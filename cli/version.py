"""Which version of the project this is."""

from __future__ import annotations

import os
from importlib import metadata


def version() -> str:
    """Return the installed version; an image that only holds the files names its own."""
    try:
        return metadata.version("stylestream")
    except metadata.PackageNotFoundError:
        return os.environ.get("STYLESTREAM_VERSION", "unknown")
