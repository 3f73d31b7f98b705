"""``stylestream run``: paints videos on this machine, from upload to result."""

from __future__ import annotations

import asyncio
import functools
import sys
import tempfile
from argparse import Namespace
from collections.abc import AsyncIterator, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from cli.commands.common import (
    Patience,
    engine_environment,
    exit_code,
    find_engine_problems,
    find_request_problems,
    read_request,
    refuse,
    tell,
    wait_for,
)
from cli.commands.logs import shown
from cli.commands.setup import ensure_azurite
from cli.interruption import interrupted_once
from cli.meter import Meter
from cli.probe import expected_frames
from cli.progress import JobProgress
from cli.report import Report
from cli.results import Target, find_result_problems, plan_targets
from cli.room import find_room_problems, shortage
from cli.videos import find_videos
from cli.warm import find_warm, start_warm
from client.local_stack import default_dir, running_stack
from local.defaults import SAMPLE, gallery
from shared.contracts.errors import SourceRefused, StylestreamError
from shared.contracts.style_request import StyleRequest

if TYPE_CHECKING:
    from client import Pipeline, Submission
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
    target: Target
    meter: Meter


async def run(arguments: Namespace) -> int:
    """Paint videos in the running stack, or in one started for them, and fetch the results."""
    videos, problems = find_videos(arguments.videos or [str(SAMPLE)], gallery().styles)
    problems += find_request_problems(arguments)
    problems += find_engine_problems(arguments.engine)
    if arguments.keep_warm is not None and _wants_its_own(arguments):
        problems.append("--keep-warm cannot be combined with --dir, --stylizers or --engine")
    refuse(problems + find_result_problems(arguments.output, len(videos)))
    request = read_request(arguments)
    targets, problems = plan_targets(arguments.output, videos, request.slug)
    refuse(problems)
    with JobProgress(quiet=arguments.quiet) as progress:
        work = _Run(request, progress, arguments)
        orders = work.accept(videos, targets)
        if orders:
            for order in orders:
                order.target.make_folder()
            async with _pipeline(arguments, progress, orders) as (pipeline, stack):
                # The jobs of a temporary stack are deleted with it.
                kept = stack is None or not stack.options.disposable
                await _or_failure(stack, work.paint(pipeline, orders, cancel=kept))
    return exit_code(work.reports)


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
        orders: list[tuple[Path, Target]] = []
        existing: list[str] = []
        for video, target in zip(videos, targets, strict=True):
            if target.existing and not self._arguments.force:
                if self._arguments.skip_existing:
                    self._progress.say(f"{target.existing} exists: skipped")
                else:
                    existing.append(
                        f"{target.existing} exists: --force replaces it, "
                        "--skip-existing leaves the video out"
                    )
                continue
            orders.append((video, target))
        refuse(existing)
        return [order for one in orders if (order := self._look_into(*one))]

    def _look_into(self, video: Path, target: Target) -> _Order | None:
        try:
            expected = expected_frames(video, self._request)
        except SourceRefused as refusal:
            self._end(Report.refused(video.name, self._request, refusal), video)
            return None
        return _Order(video, target, self._progress.add(video.name, expected))

    async def paint(self, pipeline: Pipeline, orders: list[_Order], *, cancel: bool) -> None:
        """Paint all videos; ``cancel`` cancels the jobs that are interrupted."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for order in orders:
                    tasks.create_task(self._paint_one(pipeline, order))
        except* (StylestreamError, OSError) as group:
            # Such as a video that is gone, or a closed stdout.
            raise group.exceptions[0] from None
        finally:
            if cancel:
                ends = (pipeline.withdraw(submission) for submission in self._unfinished)
                await asyncio.gather(*ends, return_exceptions=True)

    async def _paint_one(self, pipeline: Pipeline, order: _Order) -> None:
        async with self._uploading:
            order.meter.stage = "upload"
            submission = await pipeline.submit(order.video, self._request)
        self._unfinished.add(submission)
        status = await wait_for(
            pipeline, submission, self._progress, order.meter, self._patience, _UNNOTICED
        )
        if status is None:
            raise StylestreamError(f"{order.video}: given up")
        self._unfinished.discard(submission)
        report = Report.of(status)
        if self._arguments.strict:
            report = report.judged_strictly()
        if status.result is not None and report.succeeded:
            path = await pipeline.fetch(status.job_id, order.target.file(status.result))
            report = Report.of(status, str(path))
        self._end(report, order.video)

    def _end(self, report: Report, video: Path) -> None:
        # Its upload may have a number, but the user knows the file.
        report = replace(report, video=video.name)
        self.reports.append(report)
        tell(report, self._progress, as_json=self._arguments.json)


@asynccontextmanager
async def _pipeline(
    arguments: Namespace, progress: JobProgress, orders: list[_Order]
) -> AsyncIterator[tuple[Pipeline, Stack | None]]:
    """Open the running stack unless options ask for another one; else start one.

    Raises:
        ConfigurationError: there is no room for the videos of ``orders`` where it keeps them.
    """
    if running := None if _wants_its_own(arguments) else await _find_running(arguments, progress):
        progress.say(f"painting in the stack that runs in {running}")
        from client import open_pipeline

        _check_room(orders, running, progress)
        async with _logs(arguments, running, progress), open_pipeline(running) as found:
            yield found, None
        return
    await ensure_azurite(progress)
    # Imported late: not needed if a stack is running.
    from local.stack import Stack, StackOptions
    from local.tasks import cancelled_by_signals

    async with AsyncExitStack() as closing:
        closing.enter_context(interrupted_once())
        # From before the folder is made until it is deleted.
        closing.enter_context(cancelled_by_signals())
        directory = arguments.dir or Path(
            closing.enter_context(tempfile.TemporaryDirectory(prefix="stylestream-"))
        )
        _check_room(orders, directory, progress)
        options = StackOptions(
            directory,
            arguments.stylizers or 1,
            environment=engine_environment(arguments.engine),
            disposable=arguments.dir is None,
        )
        await closing.enter_async_context(_logs(arguments, directory, progress))
        with progress.starting("starting the pipeline on this machine") as waiting:
            stack = await closing.enter_async_context(Stack(options, waiting))
            # Its SDK is imported meanwhile: see `local.stack`.
            from client import Account, open_pipeline

            account = Account(stack.storage_connection_string)
            pipeline = await closing.enter_async_context(open_pipeline(account))
        if said := stack.engine_sentence():
            progress.say(said)
        try:
            yield pipeline, stack
        except asyncio.CancelledError:
            print("stylestream: stopping ...", file=sys.stderr, flush=True)
            raise


def _check_room(orders: list[_Order], directory: Path, progress: JobProgress) -> None:
    problems = find_room_problems([order.video for order in orders], directory)
    refuse([f"{problem}, or choose another disk with --dir or TMPDIR" for problem in problems])
    progress.explain_waiting = functools.partial(shortage, directory)


def _wants_its_own(arguments: Namespace) -> bool:
    return any(o is not None for o in (arguments.dir, arguments.stylizers, arguments.engine))


async def _find_running(arguments: Namespace, progress: JobProgress) -> Path | None:
    """Return the directory of a running stack, or of a warm one that is started."""
    if running_stack(default_dir()):
        return default_dir()
    if warm := find_warm():
        return warm
    if arguments.keep_warm is None:
        return None
    await ensure_azurite(progress)
    minutes: int = arguments.keep_warm
    progress.say(f"starting a pipeline that stays until it was idle for {minutes} min ...")
    return await start_warm(minutes)


def _logs(
    arguments: Namespace, directory: Path, progress: JobProgress
) -> AbstractAsyncContextManager[None]:
    """Show the logs of the stack in ``directory`` if ``--verbose`` is given."""
    return shown(directory / "logs", progress.say) if arguments.verbose else nullcontext()


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
