"""What tests of the decoder's process share."""

from __future__ import annotations

import pytest
from decoder_child import OTHERS, STAND_INS, all_children


@pytest.fixture(autouse=True)
def _only_own_children():
    OTHERS.clear()
    OTHERS.update(all_children())


@pytest.fixture
def side(tmp_path):
    return tmp_path / "side"


@pytest.fixture
def stand_in():
    """Put a few lines of Python in the decoder's place."""
    yield STAND_INS.append
    STAND_INS.clear()
