"""The version of the project."""

from __future__ import annotations

import os
from importlib import metadata


def version() -> str:
    """Return the installed version; images without an installation set their own."""
    try:
        return metadata.version("stylestream")
    except metadata.PackageNotFoundError:
        return os.environ.get("STYLESTREAM_VERSION", "unknown")
