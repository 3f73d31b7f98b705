"""Jobs as a table for people: one line each, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cli.meter import WORDS
from cli.report import SUCCEEDED
from cli.screen import fit, shorten
from shared.contracts.status import Status
from shared.telemetry.escapes import escaped

ID_WIDTH: Final = 24
_NARROW: Final = 60


def table(jobs: Sequence[Status], width: int, now: datetime) -> list[str]:
    """Return a heading and a line for each job, none wider than ``width``."""
    return [
        _line("JOB", "STATE", "DONE", "AGE", "VIDEO", width),
        *(_row(j, width, now) for j in jobs),
    ]


def _row(job: Status, width: int, now: datetime) -> str:
    age = (now - datetime.fromisoformat(job.started_at)).total_seconds()
    if job.error is not None:
        video = f"{job.video_name}: {job.error.message}"
    elif job.result is not None:
        video = f"{job.video_name} -> {job.result}"
    else:
        video = f"{job.video_name} in {job.style.style}"
    if job.waiting is not None and not job.ended:
        since = (now - datetime.fromisoformat(job.waiting.since)).total_seconds()
        video = f"{video}: waiting for {job.waiting.reason} for {_age(since)}"
    state = "waiting" if job.waiting is not None else WORDS.get(job.state, job.state)
    return _line(job.job_id, state, _share(job), _age(age), video, width)


def _line(job: str, state: str, share: str, age: str, video: str, width: int) -> str:
    if width < _NARROW:
        head = f"{job[:8]:<8} {state:<9} {share:>4} "
    else:
        head = f"{job:<{ID_WIDTH}} {state:<9} {share:>4} {age:>4}  "
    return fit(f"{head}{shorten(escaped(video), width - len(head))}", width).rstrip()


def _share(job: Status) -> str:
    if job.state in SUCCEEDED:
        return "100%"
    return f"{job.frames_stylized * 100 // job.frames}%" if job.frames else ""


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"
