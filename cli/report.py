"""What the command line says about jobs: one summary for people, one object for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from shared.contracts.status import Status


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one job. ``seconds`` runs from the upload's notice to the latest record."""

    job_id: str
    video: str
    status: str
    style: str
    frames: int
    chunks: int
    seconds: float
    fps: float
    output: str | None
    warnings: tuple[str, ...]
    error: dict[str, str] | None

    @classmethod
    def of(cls, status: Status, output: str | None) -> Report:
        """Sum up a job's record; ``output`` is where its result went."""
        took = (
            datetime.fromisoformat(status.updated_at) - datetime.fromisoformat(status.started_at)
        ).total_seconds()
        frames = status.frames if status.state in {"done", "degraded"} else status.frames_stylized
        return cls(
            job_id=status.job_id,
            video=status.video_name,
            status=status.state,
            style=status.style.style,
            frames=frames,
            chunks=status.chunks or status.chunks_stylized,
            seconds=round(took, 3),
            fps=round(frames / took, 2) if took > 0 else 0.0,
            output=output,
            warnings=status.warnings,
            error=status.error.model_dump() if status.error else None,
        )

    def json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def sentence(self) -> str:
        """Return the report as one line for people."""
        if self.error is not None:
            return f"{self.video}: {self.status}: {self.error['message']}"
        text = (
            f"{self.video}: {self.status}, {self.frames} frames in {self.chunks} chunks, "
            f"{self.seconds:.1f} s, {self.fps:.1f} frames/s"
        )
        return f"{text} -> {self.output}" if self.output else text
