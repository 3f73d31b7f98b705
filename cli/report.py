"""Reports on jobs: a sentence for people, a JSON object for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from cli.left_out import explain_left_out
from cli.meter import WORDS
from shared.contracts.errors import PermanentError
from shared.contracts.status import ENDED, Status
from shared.contracts.style_request import StyleRequest
from shared.telemetry.escapes import escaped, escaped_json

SUCCEEDED = frozenset({"done", "degraded"})


@dataclass(frozen=True, slots=True)
class Report:
    """The state or the outcome of a job.

    ``seconds`` is the time from the start of the job to its latest record. ``frames`` are painted;
    ``frames_total`` is None until the video has been read. ``result`` is a blob in the container of
    results, ``output`` a file on this machine.
    """

    job_id: str
    video: str
    status: str
    style: str
    request: dict[str, Any]
    frames: int
    frames_total: int | None
    chunks: int
    started_at: str
    updated_at: str
    seconds: float
    fps: float
    result: str | None
    output: str | None
    warnings: tuple[str, ...]
    error: dict[str, str] | None
    input: str | None = None
    """The file on this machine that was painted, as it was named; None if that is not known."""
    waiting: dict[str, str] | None = None
    """What the job waits for, as ``reason`` and ``since``; None while it makes progress."""

    @classmethod
    def of(cls, status: Status, output: str | None = None) -> Self:
        """Return the report of a job's record; ``output`` is the file with its result."""
        took = (
            datetime.fromisoformat(status.updated_at) - datetime.fromisoformat(status.started_at)
        ).total_seconds()
        frames = status.frames if status.state in SUCCEEDED else status.frames_stylized
        dropped = status.source.dropped if status.source else ()
        return cls(
            job_id=status.job_id,
            video=status.video_name,
            status=status.state,
            style=status.style.style,
            request=status.style.model_dump(mode="json"),
            frames=frames,
            frames_total=status.frames or None,
            chunks=status.chunks or status.chunks_stylized,
            started_at=status.started_at,
            updated_at=status.updated_at,
            seconds=round(took, 3),
            fps=round(frames / took, 2) if took > 0 else 0.0,
            result=status.result,
            output=output,
            warnings=(*status.warnings, *explain_left_out(dropped)),
            error=status.error.model_dump() if status.error else None,
            waiting=status.waiting.model_dump() if status.waiting and not status.ended else None,
        )

    @classmethod
    def refused(cls, video: str, request: StyleRequest, refusal: PermanentError) -> Self:
        """Return the report of a file that was not submitted, because it would be refused."""
        return cls(
            job_id="",
            video=video,
            status="failed",
            style=request.style,
            request=request.model_dump(mode="json"),
            frames=0,
            frames_total=None,
            chunks=0,
            started_at="",
            updated_at="",
            seconds=0.0,
            fps=0.0,
            result=None,
            output=None,
            warnings=(),
            error={"code": refusal.code, "message": refusal.message},
        )

    @property
    def succeeded(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self.error is None and self.status not in ENDED - SUCCEEDED

    def judged_strictly(self) -> Report:
        """Return the report with a degraded result as a failure."""
        if self.status != "degraded":
            return self
        why = {"code": "DEGRADED", "message": "parts of the video are damaged (--strict)"}
        return replace(self, error=why)

    def unfetched(self, why: str) -> Report:
        """Return the report of a result that could not be fetched."""
        return replace(self, error={"code": "NOT_FETCHED", "message": why})

    def of_file(self, path: Path, name: str) -> Report:
        """Return the report of a file that the user named, who knows it by ``name``."""
        return replace(self, input=str(path), video=name)

    def json(self) -> str:
        """Return the report as one line of JSON."""
        return escaped_json(json.dumps(asdict(self), ensure_ascii=False))

    def sentence(self) -> str:
        """Return the report as one line for people; control characters in names are escaped."""
        return escaped(self._sentence())

    def _sentence(self) -> str:
        if self.error is not None:
            return f"{self.video}: {self.status}: {self.error['message']}"
        if self.status in SUCCEEDED:
            text = f"{self.video}: {self.status}, {_frames(self.frames)} in {self.seconds:.1f} s"
            text = f"{text}, {self.fps:.1f} frames/s"
            return f"{text} -> {self.output}" if self.output else text
        if self.status in ENDED:
            return f"{self.video}: {self.status} after {_frames(self.frames)}"
        share = f" of {self.frames_total}" if self.frames_total else ""
        word = WORDS.get(self.status, self.status)  # type: ignore[call-overload]
        text = f"{self.video}: {word}, {self.frames}{share} frames in {self.seconds:.1f} s"
        if self.waiting is None:
            return text
        return f"{text}, waiting for {self.waiting['reason']} since {self.waiting['since']}"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
