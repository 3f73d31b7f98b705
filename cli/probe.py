"""Checks before an upload whether a file is a video, and how many frames to expect."""

from __future__ import annotations

from pathlib import Path

import av

from shared.contracts.style_request import StyleRequest
from splitter.media.limits import Limits
from splitter.media.source import capture_errors, open_source


def expected_frames(path: Path, request: StyleRequest) -> int | None:
    """Return how many frames of a file will be painted; None if the file does not say.

    Raises:
        SourceRefused: the splitter would refuse the file for the same reason.
    """
    with path.open("rb") as file, capture_errors() as log:
        source = open_source(file, Limits(), log)
        with source.container as container:
            length_s = (container.duration or 0) / av.time_base
            rate = float(source.video.average_rate or 0)
            frames = source.video.frames or round(length_s * rate)
    if not frames:
        return None
    if length_s and (request.start or request.duration is not None):
        rest_s = max(0.0, length_s - request.start)
        part_s = rest_s if request.duration is None else min(rest_s, request.duration)
        frames = round(frames * part_s / length_s)
    if request.max_frames is not None:
        frames = min(frames, request.max_frames)
    return max(1, frames)
