"""``stylestream run``: paints videos on this machine, from upload to result."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cli.commands.common import (
    Patience,
    exit_code,
    find_engine_problems,
    find_request_problems,
    read_request,
    refuse,
    tell,
    wait_for,
)
from cli.commands.place import Place, open_place, wants_its_own
from cli.meter import Meter
from cli.probe import expected_frames
from cli.progress import JobProgress
from cli.report import Report
from cli.results import Target, find_result_problems, plan_targets
from cli.room import doubt_about_results
from cli.videos import enumerated, find_left_out, find_videos, short_names
from local.defaults import SAMPLE, gallery
from shared.contracts.errors import SourceRefused, StylestreamError
from shared.contracts.style_request import StyleRequest

if TYPE_CHECKING:
    from client import Status, Submission
    from local.stack import Stack

T = TypeVar("T")

UPLOADS_AT_ONCE: Final = 4
PATIENCE_S: Final = 120.0
"""A running stack takes up an upload within seconds, even on a busy machine."""

_UNNOTICED: Final = (
    f"the upload has not been picked up for {PATIENCE_S:g} s, although all processes are "
    "running; with --dir FOLDER their logs are kept"
)


@dataclass(frozen=True, slots=True)
class _Order:
    """A video to paint, and the target of its result."""

    video: Path
    name: str
    target: Target
    meter: Meter


async def run(arguments: Namespace) -> int:
    """Paint videos in the running stack, or in one started for them, and fetch the results."""
    videos, problems = find_videos(arguments.videos or [str(SAMPLE)], gallery().styles)
    problems += find_request_problems(arguments)
    problems += find_engine_problems(arguments.engine)
    if arguments.keep_warm is not None and wants_its_own(arguments):
        problems.append("--keep-warm cannot be combined with --dir, --stylizers or --engine")
    refuse(problems + find_result_problems(arguments.output, len(videos)))
    request = read_request(arguments)
    targets, problems = plan_targets(arguments.output, videos, request.slug)
    refuse(problems)
    with JobProgress(quiet=arguments.quiet) as progress:
        for said in find_left_out(arguments.videos):
            progress.say(said)
        work = _Run(request, progress, arguments)
        orders = work.accept(videos, targets)
        if orders:
            accepted = [order.video for order in orders]
            # All results go into one folder.
            orders[0].target.make_folder()
            if doubt := doubt_about_results(accepted, orders[0].target.folder):
                progress.say(doubt)
            async with open_place(arguments, progress, accepted) as place:
                await _or_failure(place.stack, work.paint(place, orders))
        if said := _what_failed(work.reports):
            progress.say(said)
    return exit_code(work.reports)


def _what_failed(reports: list[Report]) -> str:
    """Return a sentence that names all failures again, for whoever comes back to many videos."""
    failed = [report.video for report in reports if not report.succeeded]
    if not failed or len(reports) == 1:
        return ""
    done = len(reports) - len(failed)
    return f"{done} of {len(reports)} videos are done; failed: {enumerated(failed)}"


class _Run:
    """The videos of one command, and their results so far."""

    def __init__(self, request: StyleRequest, progress: JobProgress, arguments: Namespace) -> None:
        self.reports: list[Report] = []
        self._request = request
        self._progress = progress
        self._arguments = arguments
        self._patience = Patience(PATIENCE_S)
        self._uploading = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._unfinished: set[Submission] = set()

    def accept(self, videos: list[Path], targets: list[Target]) -> list[_Order]:
        """Return the orders to paint; report at once on files that are not videos.

        Raises:
            ConfigurationError: a result exists, and no option says what to do with it.
        """
        orders: list[tuple[Path, str, Target]] = []
        existing: list[str] = []
        for video, name, target in zip(videos, short_names(videos), targets, strict=True):
            if target.existing and not self._arguments.force:
                if self._arguments.skip_existing:
                    self._progress.say(f"{target.existing} exists: skipped")
                else:
                    existing.append(
                        f"{target.existing} exists: --force replaces it, "
                        "--skip-existing leaves the video out"
                    )
                continue
            orders.append((video, name, target))
        refuse(existing)
        return [order for one in orders if (order := self._look_into(*one))]

    def _look_into(self, video: Path, name: str, target: Target) -> _Order | None:
        try:
            expected = expected_frames(video, self._request)
        except SourceRefused as refusal:
            self._end(Report.refused(name, self._request, refusal), video, name)
            return None
        return _Order(video, name, target, self._progress.add(name, expected))

    async def paint(self, place: Place, orders: list[_Order]) -> None:
        """Paint all videos; jobs that are interrupted are cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for order in orders:
                    tasks.create_task(self._paint_one(place, order))
        except* (StylestreamError, OSError) as group:
            # Such as a video that is gone, or a closed stdout.
            raise group.exceptions[0] from None
        finally:
            # The jobs of a temporary stack are deleted with it.
            if place.stack is None or not place.stack.disposable:
                ends = (place.pipeline.withdraw(submission) for submission in self._unfinished)
                await asyncio.gather(*ends, return_exceptions=True)

    async def _paint_one(self, place: Place, order: _Order) -> None:
        async with self._uploading:
            order.meter.stage = "upload"
            submission = await place.pipeline.submit(order.video, self._request)
        self._unfinished.add(submission)
        status = await wait_for(
            place.pipeline, submission, self._progress, order.meter, self._patience, _UNNOTICED
        )
        if status is None:
            raise StylestreamError(f"{order.video}: given up")
        self._unfinished.discard(submission)
        report = Report.of(status)
        if self._arguments.strict:
            report = report.judged_strictly()
        if status.result is not None and report.succeeded:
            report = await self._fetch(place, status, order.target.file(status.result))
        self._end(report, order.video, order.name)

    async def _fetch(self, place: Place, status: Status, path: Path) -> Report:
        try:
            force: bool = self._arguments.force
            fetched = await place.pipeline.fetch(status.job_id, path, replace=force)
        except StylestreamError as error:
            place.keep()
            commands = place.fetching(status.job_id, path)
            return Report.of(status).unfetched(
                f"{error}. The result is kept; to fetch it: {commands}"
            )
        return Report.of(status, str(fetched))

    def _end(self, report: Report, video: Path, name: str) -> None:
        # Its upload may have a number, but the user knows the file.
        report = report.of_file(video, name)
        self.reports.append(report)
        tell(report, self._progress, as_json=self._arguments.json)


async def _or_failure(stack: Stack | None, work: Coroutine[None, None, T]) -> T:
    """Await ``work`` on a stack; a failure of the stack ends it."""
    if stack is None:
        return await work
    working = asyncio.create_task(work)
    failing = asyncio.create_task(stack.failed())
    try:
        await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise failing.result()
        return working.result()
    finally:
        for task in (working, failing):
            task.cancel()
        await asyncio.gather(working, failing, return_exceptions=True)
