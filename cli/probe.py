"""Checks before an upload whether a file is a video, and how many frames to expect."""

from __future__ import annotations

import shlex
from pathlib import Path

import av

from shared.contracts.errors import SourceRefused
from shared.contracts.style_request import StyleRequest
from splitter.media.limits import Limits
from splitter.media.part import Part
from splitter.media.source import capture_errors, open_source
from splitter.media.survey import check_length


def expected_frames(path: Path, request: StyleRequest) -> int | None:
    """Return how many frames of a file will be painted; None if the file does not say.

    Raises:
        SourceRefused: the splitter would refuse the file for the same reason. Of a photo, it also
            says what paints it.
    """
    with path.open("rb") as file, capture_errors() as log:
        try:
            source = open_source(file, Limits(), log)
        except SourceRefused as refusal:
            raise SourceRefused(refusal.code, f"{refusal.message}{_remedy(path)}") from refusal
        with source.container as container:
            check_length(file, source, Limits(), Part.of(request))
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


def _remedy(refused: Path) -> str:
    # Imported late: it has nothing to do with videos.
    from cli.pictures import is_photo

    if not is_photo(refused):
        return ""
    return f" A photo is painted by: stylestream preview {shlex.quote(str(refused))}."
