"""Looks into a file before it is uploaded: whether it is a video, and how many frames to expect."""

from __future__ import annotations

from pathlib import Path

import av

from splitter.media.limits import Limits
from splitter.media.source import capture_errors, open_source


def expected_frames(path: Path) -> int | None:
    """Return how many frames a file promises; None where it makes no promise.

    Raises:
        SourceRefused: the splitter would not take it, for the same reason.
    """
    with path.open("rb") as file, capture_errors() as log:
        source = open_source(file, Limits(), log)
        with source.container as container:
            if source.video.frames:
                return source.video.frames
            rate = source.video.average_rate
            if container.duration is None or rate is None:
                return None
            return max(1, round(container.duration * rate / av.time_base))
