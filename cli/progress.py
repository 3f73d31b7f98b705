"""Live progress on a terminal: frames split, stylized and assembled, speed and time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from client import View


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:5.1f} frames/s" if speed else "    - frames/s")


class JobProgress:
    """Shows jobs on stderr, if that is a terminal; says nothing otherwise."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _FramesPerSecond(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, dict[str, TaskID]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if self._console.is_terminal:
            self._progress.console.print(text, highlight=False, markup=False)

    def show(self, name: str, view: View) -> None:
        """Bring a job's bars up to date."""
        status = view.status
        if status is None or not self._console.is_terminal:
            return
        bars = self._tasks.setdefault(name, {})
        total = status.frames or None
        split = status.frames or (view.split.frames if view.split else 0)
        assembled = status.frames if status.state in {"done", "degraded"} else 0
        for stage, completed in (
            ("split", split),
            ("stylized", status.frames_stylized),
            ("assembled", assembled),
        ):
            if stage not in bars:
                bars[stage] = self._progress.add_task(f"{name}  {stage:<9}", total=None)
            self._progress.update(bars[stage], completed=completed, total=total)
