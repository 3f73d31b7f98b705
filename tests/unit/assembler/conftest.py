"""Segments to make results from."""

from __future__ import annotations

import pytest

from assembler.mux import mux


@pytest.fixture
def join(tmp_path):
    """Join a split's segments and return the result's path."""

    def run(found, segments=None, manifest=None):
        out = tmp_path / f"result.{found.source.container}"
        segments = found.segments() if segments is None else segments
        mux(manifest or found.manifest(), iter(segments), found.side, out)
        return out

    return run
