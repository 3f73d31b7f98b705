"""Reads the assembler's results independently."""

from __future__ import annotations

import av
import pytest


def shown(path):
    """Decode a result: timestamps in seconds and frames."""
    with av.open(str(path)) as container:
        return [(frame.pts * frame.time_base, frame) for frame in container.decode(video=0)]


def refused(error, run):
    with pytest.raises(error) as caught:
        run()
    return caught.value.code
