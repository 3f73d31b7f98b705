"""What several subcommands do: check a request, wait for its job, tell the outcome."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cli.progress import JobProgress
from cli.report import Report
from client import Pipeline, Submission
from local.defaults import DEFAULT_STYLE, gallery
from shared.contracts.errors import ConfigurationError, StyleError
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import parse_style_request

RESULT_ENDINGS: Final = (".mp4", ".mkv")
UNNOTICED_S: Final = 30.0
"""After this long a running splitter has noticed an upload."""


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
    request = parse_style_request(wishes, DEFAULT_STYLE)
    if not os.environ.get("STYLES_CONTAINER"):  # what lies there, the services alone know
        gallery().find_all(request.style)
    return request


def find_problems(videos: list[Path], arguments: Namespace) -> list[str]:
    """Return one sentence for each thing that cannot work, found before anything is started."""
    problems = find_unreadable(videos)
    try:
        read_request(arguments)
    except StyleError as error:
        problems.append(error.message)
    return problems


def find_result_problems(output: Path | None, videos: Sequence[Path] = ()) -> list[str]:
    """Return one sentence for each reason why results cannot go where ``-o`` says.

    Without it they go into the current folder. Painting takes hours: it must not end here.
    """
    if output is None:
        return find_unwritable("the current folder", Path())
    said = f"-o {output}"
    if output.is_dir():
        return find_unwritable(said, output)
    if len(videos) > 1:
        return [f"{said}: several videos need a folder that exists"]
    if output.suffix.lower() not in RESULT_ENDINGS:
        return [
            f"{said}: a result is a video, and its name must end in {' or '.join(RESULT_ENDINGS)}"
        ]
    # The result decides which of the endings its name gets.
    possible = [output, *map(output.with_suffix, RESULT_ENDINGS)]
    return find_overwritten(said, possible, videos) or find_unwritable(said, output)


def find_overwritten(said: str, outputs: Iterable[Path], sources: Iterable[Path]) -> list[str]:
    """Return the sentence that refuses to write a result over what it is made of."""
    there = [output for output in outputs if output.exists()]
    return [
        f"{said}: this would overwrite the source {source}"
        for source in sources
        if source.exists() and any(output.samefile(source) for output in there)
    ]


def find_unwritable(said: str, path: Path) -> list[str]:
    """Return the sentence that says why a file cannot be written, or a folder not written into."""
    folder = path if path.is_dir() else path.absolute().parent
    if not folder.is_dir():
        return [f"{said}: there is no folder {folder}"]
    if path.is_file() and not os.access(path, os.W_OK):
        return [f"{said}: {path} is not writable"]
    try:
        # Permissions do not tell everything: a file system may be read-only, or full.
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        return [f"{said}: cannot write into {folder.absolute()}: {error.strerror}"]


def find_unwritable_file(said: str, path: Path | None) -> list[str]:
    """Return the sentence that says why a file cannot be written; none is asked for with None."""
    if path is None:
        return []
    return [f"{said} is a folder"] if path.is_dir() else find_unwritable(said, path)


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


async def wait_for(
    pipeline: Pipeline, submission: Submission, progress: JobProgress, *, if_unnoticed: str = ""
) -> Status:
    """Show a job's progress until it has ended; return its last record.

    ``if_unnoticed`` is told once, when nothing has taken up the upload for `UNNOTICED_S`.
    """
    patient_until = time.monotonic() + UNNOTICED_S
    async for view in pipeline.watch(submission.job_id):
        progress.show(submission.video_name, view)
        if if_unnoticed and view.status is None and time.monotonic() >= patient_until:
            print(f"stylestream: {if_unnoticed}", file=sys.stderr, flush=True)
            if_unnoticed = ""
    if view.status is None:
        raise AssertionError("a watch ends with an ended job")
    return view.status


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
