"""What several subcommands do: check a request, wait for its job, tell the outcome."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path, PurePosixPath

from local.defaults import gallery
from local.jobs import Jobs, Submission
from local.progress import JobProgress
from local.report import Report
from shared.errors import ConfigurationError, StyleError
from shared.status import Status
from shared.styles.request import StyleRequest


def read_request(arguments: Namespace) -> StyleRequest:
    """Return the style request of a command line."""
    return StyleRequest(style=arguments.style, max_side=arguments.max_side)


def find_problems(videos: list[Path], request: StyleRequest, output: Path | None) -> list[str]:
    """Return one sentence for each thing that cannot work, found before anything is started."""
    problems = []
    for video in videos:
        if not video.is_file():
            problems.append(f"{video}: no such file")
        elif not os.access(video, os.R_OK):
            problems.append(f"{video}: not readable")
    try:
        gallery().find(request.style)
    except StyleError as error:
        problems.append(error.message)
    if request.max_side is not None and not 16 <= request.max_side <= 16384:  # noqa: PLR2004
        problems.append(f"--max-side must be from 16 to 16384, not {request.max_side}")
    if output is not None:
        if len(videos) > 1 and not output.is_dir():
            problems.append(f"-o {output}: several videos need a folder that exists")
        elif not output.is_dir() and not output.absolute().parent.is_dir():
            problems.append(f"-o {output}: there is no folder {output.absolute().parent}")
    return problems


def refuse(problems: list[str]) -> None:
    """Raise `ConfigurationError` if there are problems."""
    if problems:
        raise ConfigurationError(problems)


async def wait_for(jobs: Jobs, submission: Submission, progress: JobProgress) -> Status:
    """Show a job's progress until it has ended; return its last record."""
    async for view in jobs.watch(submission.job_id):
        progress.show(submission.video_name, view)
    if view.status is None:
        raise AssertionError("a watch ends with an ended job")
    return view.status


def output_path(status: Status, output: Path) -> Path:
    """Return where a result goes: a folder gets its name, a file name the result's true ending."""
    result = PurePosixPath(status.result or "")
    if output.is_dir():
        return output / result.name
    if output.suffix.lower() in {".mp4", ".mkv"} and output.suffix.lower() != result.suffix:
        # Sound that MP4 cannot hold makes the result Matroska; the name must not lie about that.
        return output.with_suffix(result.suffix)
    return output


def tell(reports: list[Report], *, as_json: bool) -> int:
    """Print reports to stdout and causes of failure to stderr; return the exit code."""
    for report in reports:
        if as_json:
            print(report.json())
        elif report.error is None:
            print(report.sentence())
        if report.error is not None:
            print(f"stylestream: {report.sentence()}", file=sys.stderr)
        for warning in report.warnings:
            print(f"stylestream: {report.video}: {warning}", file=sys.stderr)
    return int(any(report.error for report in reports))
