"""What several tests of the command line need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a pipeline's settings out of the environment, and work in an empty folder."""
    for name in os.environ:
        if name.startswith(("STORAGE_", "MEDIA_", "EVENTHUB_", "STYLES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
