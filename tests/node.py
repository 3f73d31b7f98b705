"""Programs that tests run under Node, and where their packages are installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from local.azurite_setup import find_node

MODULES: Final = Path(__file__).resolve().parents[1] / ".venv/javascript/node_modules"


def node_with_modules() -> Path:
    """Return a Node for which the packages are installed; skip the test where there is none."""
    node = find_node()
    if node is None or not MODULES.is_dir():
        reason = f"{MODULES.parent} is not installed: scripts/setup --test installs it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return node
