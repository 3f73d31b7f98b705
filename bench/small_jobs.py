"""The cost of a job beside that of its frames: many short videos, and one that is as long as all.

Frames are so small that painting does not hide the rest.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.clip import write_clip
from bench.pipeline import CostMeter, ended, paint
from client import Account, Pipeline, StyleRequest, open_pipeline
from local.defaults import SAMPLE
from local.stack import Stack, StackOptions

JOBS: Final = 30
FRAMES: Final = 60
SIZE: Final = (160, 90)


@dataclass(frozen=True, slots=True)
class SmallJobs:
    """``jobs`` videos of ``frames`` frames, uploaded at once. CPU times are of all processes."""

    jobs: int
    frames: int
    jobs_per_second: float
    cpu_ms_per_job: float
    cpu_ms_per_frame: float
    """Of one video of as many frames as all of the small ones."""

    @property
    def cpu_ms_beside_frames(self) -> float:
        """What a job costs beyond its frames."""
        return self.cpu_ms_per_job - self.frames * self.cpu_ms_per_frame


async def measure(
    style: str,
    stylizers: int,
    environment: Mapping[str, str],
    jobs: int = JOBS,
    frames: int = FRAMES,
) -> SmallJobs:
    """Paint one long video and then ``jobs`` short ones at once, on a warm stack.

    ``environment`` is added to that of the stack's services.

    Raises:
        StylestreamError: a job failed.
    """
    request = StyleRequest(style=style)
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        long, *short = await asyncio.to_thread(_write_clips, Path(folder), jobs, frames)
        options = StackOptions(
            Path(folder) / "stack", stylizers, environment=environment, disposable=True
        )
        async with (
            Stack(options) as stack,
            open_pipeline(Account(stack.storage_connection_string)) as pipeline,
        ):
            await paint(pipeline, SAMPLE, request)
            with CostMeter(stack) as of_frames:
                await paint(pipeline, long, request)
            began = time.monotonic()
            with CostMeter(stack) as of_jobs:
                await _paint_at_once(pipeline, short, request)
            seconds = time.monotonic() - began
    return SmallJobs(
        jobs=jobs,
        frames=frames,
        jobs_per_second=jobs / seconds,
        cpu_ms_per_job=of_jobs.cpu_ms(jobs),
        cpu_ms_per_frame=of_frames.cpu_ms(jobs * frames),
    )


def table(figures: SmallJobs) -> str:
    """Return the figures as Markdown."""
    width, height = SIZE
    return "\n".join(
        [
            f"{figures.jobs} videos of {figures.frames} frames of {width}x{height}, uploaded at "
            "once; the cost of a frame is that in one video of as many frames:",
            "",
            "| jobs/s | CPU ms a job | CPU ms a frame | CPU ms a job beside its frames |",
            "|---|---|---|---|",
            f"| {figures.jobs_per_second:.2f} | {figures.cpu_ms_per_job:.0f} "
            f"| {figures.cpu_ms_per_frame:.2f} | {figures.cpu_ms_beside_frames:.0f} |",
        ]
    )


def _write_clips(folder: Path, jobs: int, frames: int) -> list[Path]:
    """Write a long clip and then ``jobs`` short ones."""
    long, short = folder / "long.mp4", folder / "short-1.mp4"
    write_clip(long, jobs * frames, *SIZE)
    write_clip(short, frames, *SIZE)
    copies = [folder / f"short-{number}.mp4" for number in range(2, jobs + 1)]
    for copy in copies:
        os.link(short, copy)
    return [long, short, *copies]


async def _paint_at_once(pipeline: Pipeline, clips: Sequence[Path], request: StyleRequest) -> None:
    submissions = [await pipeline.submit(clip, request) for clip in clips]
    # One after the other, because whoever waits asks storage again and again.
    for submission in submissions:
        await ended(pipeline, submission.job_id)
