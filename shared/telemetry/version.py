"""The version of the packages that run."""

from __future__ import annotations

import os
from importlib import metadata


def version() -> str:
    """Return the version of the packages that run."""
    # An image holds the packages without their metadata, and sets the variable instead.
    if given := os.environ.get("STYLESTREAM_VERSION"):
        return given
    try:
        return metadata.version("stylestream")
    except metadata.PackageNotFoundError:
        return "unknown"
