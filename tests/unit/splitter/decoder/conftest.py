"""What tests of the decoder's process share."""

from __future__ import annotations

import sys

import pytest
from decoder_child import OTHERS, all_children

from splitter.decoder import process as child


@pytest.fixture(autouse=True)
def _only_own_children():
    OTHERS.clear()
    OTHERS.update(all_children())


@pytest.fixture
def side(tmp_path):
    return tmp_path / "side"


@pytest.fixture
def stand_in(monkeypatch):
    """Put a few lines of Python in the decoder's place."""

    def put(code):
        prelude = "import os, sys, time, signal, socket\n"
        monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-c", prelude + code))

    return put
