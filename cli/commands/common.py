"""What several subcommands share: style requests, waiting for jobs, and reports."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from cli.meter import Meter
from cli.parser import suggestion
from cli.progress import JobProgress
from cli.report import Report
from local.defaults import DEFAULT_STYLE, gallery
from local.engines import find_painting_problems
from shared.contracts.errors import ConfigurationError, StyleError, StylestreamError
from shared.contracts.status import Failure
from shared.contracts.style_blend import parse_blend
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import parse_style_request
from shared.telemetry.escapes import escaped

if TYPE_CHECKING:
    # Whoever only looks at pictures need not load storage.
    from client import Pipeline, Status, Submission
    from stylizer.painting.precision import EngineSetting

T = TypeVar("T")

FAILED: Final = 1
DEGRADED: Final = 3
"""Exit codes: a job failed; damaged parts of a video are missing from its result."""

_DELETED: Final = Failure(code="DELETED", message="somebody has deleted the job")

UNNOTICED_S: Final = 30.0
"""A running splitter has noticed an upload after this long."""


def read_request(arguments: Namespace) -> StyleRequest:
    """Return the style request of a command line.

    Raises:
        StyleError: an option is invalid or a style does not exist; a sentence for each.
    """
    if not arguments.style.strip():
        raise StyleError("BAD_REQUEST", "--style is empty: name a style, or leave the option out")
    # A command for pictures has no options of the result.
    given = vars(arguments)
    texts = {name: str(given.get(name, "")) for name in StyleRequest.model_fields}
    request = parse_style_request(texts, DEFAULT_STYLE, _option)
    if not os.environ.get("STYLES_CONTAINER"):  # only the services know what is in there
        styles = gallery()
        named = [style for blend in request.blends for style, _ in parse_blend(blend)]
        unknown = [style for style in named if style not in styles]
        try:
            styles.require(request)
        except StyleError as error:
            near = suggestion(unknown[0], styles.styles) if unknown else ""
            raise StyleError(error.code, f"{error.message}{near}") from error
    return request


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def find_request_problems(arguments: Namespace) -> list[str]:
    """Return a sentence for each invalid option of a style request."""
    try:
        read_request(arguments)
    except StyleError as error:
        return [error.message]
    return []


def refuse(problems: list[str]) -> None:
    """Raise `ConfigurationError` if there are problems."""
    if problems:
        raise ConfigurationError(problems)


def refuse_needless(options: Mapping[str, object], reason: str) -> None:
    """Raise `ConfigurationError` if options were given that have no effect, with the reason."""
    given = [name for name, value in options.items() if value is not None and value is not False]
    refuse([f"{name} {reason}" for name in given])


def find_engine_problems(engine: EngineSetting | None) -> list[str]:
    """Return why a GPU that ``--engine`` names cannot work, before anything starts.

    Whether it does work is found out by the services.
    """
    return find_painting_problems(engine_environment(engine))


def engine_environment(engine: EngineSetting | None) -> dict[str, str]:
    """Return the environment of a stack's services for ``--engine``."""
    return {} if engine is None else {"ENGINE": engine}


class Patience:
    """How long to wait for jobs that no service takes up, while none of them is being painted.

    In a busy pipeline uploads wait for their turn; an idle one will never take them up. The time
    starts when an upload is complete.
    """

    def __init__(self, limit_s: float = UNNOTICED_S) -> None:
        self._limit_s = limit_s
        self._known: set[str] = set()
        self._active: set[str] = set()
        self._idle_since = time.monotonic()

    def see(self, job: str, status: Status | None) -> bool:
        """Note a job's record; return whether waiting for the job has become pointless."""
        now = time.monotonic()
        if job not in self._known:
            self._known.add(job)
            self._idle_since = now
        if status is not None and not status.ended:
            self._active.add(job)
        elif status is not None:
            self._active.discard(job)
            self._idle_since = now
        if self._active:
            self._idle_since = now
        return status is None and now - self._idle_since > self._limit_s


async def wait_for(
    pipeline: Pipeline,
    submission: Submission,
    progress: JobProgress,
    meter: Meter,
    patience: Patience,
    unnoticed: str,
) -> Status | None:
    """Show a job's progress until it has ended; return its last record.

    A job that somebody deletes meanwhile has failed. When ``patience`` ends, ``unnoticed`` is
    printed, and None is returned.
    """
    last: Status | None = None
    async for view in pipeline.watch(submission.job_id):
        status = view.status
        if status is None and last is not None:
            status = last.model_copy(update={"state": "failed", "error": _DELETED})
        last = status
        progress.show(meter, status, view.split)
        if patience.see(submission.job_id, status):
            print(
                f"stylestream: {escaped(submission.video_name)}: {unnoticed}",
                file=sys.stderr,
                flush=True,
            )
            return None
    return last


def tell(report: Report, progress: JobProgress, *, as_json: bool) -> None:
    """Print a report to stdout, and the cause of a failure and warnings to stderr."""
    if as_json:
        progress.report(report.json())
    elif report.succeeded:
        progress.report(report.sentence())
    if not report.succeeded:
        print(f"stylestream: {report.sentence()}", file=sys.stderr, flush=True)
    for warning in report.warnings:
        print(
            f"stylestream: {escaped(report.video)}: {escaped(warning)}", file=sys.stderr, flush=True
        )


def exit_code(reports: list[Report]) -> int:
    """Return the exit code for jobs that have ended: that of the worst one."""
    if not all(report.succeeded for report in reports):
        return FAILED
    return DEGRADED if any(report.status == "degraded" for report in reports) else 0


async def try_each(
    work: Callable[[T], Awaitable[object]], things: Iterable[T], done: Callable[[T], str]
) -> int:
    """Do ``work`` for one thing after the other, whichever fail, and return the exit code.

    Print what ``done`` says of each, and on stderr the failures.
    """
    code = 0
    for thing in things:
        try:
            await work(thing)
        except StylestreamError as error:
            code = FAILED
            print(f"stylestream: {escaped(str(error))}", file=sys.stderr)
        else:
            print(done(thing), flush=True)
    return code
