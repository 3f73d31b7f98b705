"""A film whose result is begun before all of it is painted, and the folder of the draft."""

from __future__ import annotations

from pathlib import Path

import pytest
from films import Film


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
