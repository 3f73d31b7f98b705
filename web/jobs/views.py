"""Converts a job's records into the models of the API."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from shared.contracts.status import SplitProgress, Status
from shared.contracts.style_request import StyleRequest
from web.models import Job, Live


def job_of(
    status: Status,
    split: SplitProgress | None,
    live: Live | None = None,
    frames_per_s: float | None = None,
) -> Job:
    """Return a job as the API shows it."""
    source = status.source
    left = status.frames - status.frames_stylized if status.frames else None
    asked: dict[str, Any] = {
        name: getattr(status.style, name) for name in StyleRequest.model_fields
    }
    return Job(
        **asked,
        id=status.job_id,
        video=PurePosixPath(status.video_name).name,
        state=status.state,
        ended=status.ended,
        frames=status.frames or None,
        frames_split=status.frames or (split.frames if split else 0),
        frames_painted=status.frames_stylized,
        frames_per_s=None if status.ended or not frames_per_s else round(frames_per_s, 1),
        seconds_left=(
            round(left / frames_per_s, 1)
            if left is not None and frames_per_s and not status.ended
            else None
        ),
        started_at=status.started_at,
        updated_at=status.updated_at,
        width=source.width if source else None,
        height=source.height if source else None,
        sound=bool(source and any(track.kind == "audio" for track in source.tracks)),
        result=PurePosixPath(status.result).name if status.result else None,
        live=live or Live(),
        waiting=status.waiting.reason if status.waiting and not status.ended else None,
        warnings=status.warnings,
        error=status.error,
    )
