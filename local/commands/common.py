"""What several subcommands do: check a request, wait for its job, tell the outcome."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path, PurePosixPath

from local.defaults import DEFAULT_STYLE, gallery
from local.jobs import Jobs, Submission
from local.progress import JobProgress
from local.report import Report
from shared.errors import ConfigurationError, StyleError
from shared.status import Status
from shared.styles.request import StyleRequest
from shared.styles.wishes import read_wishes


def read_request(arguments: Namespace) -> StyleRequest:
    """Return the style request of a command line.

    Raises:
        StyleError: with one sentence for each option that says nothing sensible, or for a style
            that is not there.
    """
    wishes = {
        "style": arguments.style,
        "strength": arguments.strength,
        "preserve_color": str(arguments.preserve_color),
        "max_side": arguments.max_side,
    }
    request = read_wishes(wishes, DEFAULT_STYLE)
    if not os.environ.get("STYLES_CONTAINER"):  # what lies there, the services alone know
        gallery().find_all(request.style)
    return request


def find_problems(videos: list[Path], arguments: Namespace, output: Path | None) -> list[str]:
    """Return one sentence for each thing that cannot work, found before anything is started."""
    problems = find_unreadable(videos)
    try:
        read_request(arguments)
    except StyleError as error:
        problems.append(error.message)
    if output is not None:
        if len(videos) > 1 and not output.is_dir():
            problems.append(f"-o {output}: several videos need a folder that exists")
        elif not output.is_dir() and not output.absolute().parent.is_dir():
            problems.append(f"-o {output}: there is no folder {output.absolute().parent}")
    return problems


def find_unreadable(files: list[Path]) -> list[str]:
    """Return one sentence for each file that cannot be read."""
    problems = []
    for file in files:
        if not file.is_file():
            problems.append(f"{file}: no such file")
        elif not os.access(file, os.R_OK):
            problems.append(f"{file}: not readable")
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
