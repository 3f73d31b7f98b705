"""What the subcommands of ``stylestream`` do. Each returns the exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from assembler.settings import AssemblerSettings
from local.bench.clip import SAMPLE
from local.jobs import Jobs, Submission, open_jobs
from local.progress import JobProgress
from local.report import Report
from local.stack import Stack, StackOptions, running_stack
from shared.errors import ConfigurationError, StyleError, StylestreamError
from shared.layout import is_job_id
from shared.settings import ServiceSettings, describe, load
from shared.status import Status
from shared.styles.gallery import Gallery
from shared.styles.request import StyleRequest
from splitter.settings import SplitterSettings
from stylizer.settings import StylizerSettings

T = TypeVar("T")

_SERVICES: Final[dict[str, type[ServiceSettings]]] = {
    "splitter": SplitterSettings,
    "stylizer": StylizerSettings,
    "assembler": AssemblerSettings,
}

DEFAULT_STYLE: Final = "starry-night"


def default_dir() -> Path:
    """Return where a stack lives when nobody says where."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stylestream"


async def run(arguments: Namespace) -> int:
    """Start a stack, repaint the videos, fetch the results, stop the stack."""
    videos = arguments.videos or [SAMPLE]
    request = _request(arguments)
    _refuse(_problems(videos, request, arguments.output))
    async with AsyncExitStack() as closing:
        progress = closing.enter_context(JobProgress())
        directory = arguments.dir or Path(
            closing.enter_context(tempfile.TemporaryDirectory(prefix="stylestream-"))
        )
        progress.say("starting Event Hubs, storage, and the services on this machine ...")
        stack = await closing.enter_async_context(
            Stack(StackOptions(directory, arguments.stylizers))
        )
        jobs = await closing.enter_async_context(open_jobs(stack.storage_connection_string, None))
        reports = await _or_failure(stack, _repaint(jobs, videos, request, arguments, progress))
        progress.say("stopping ...")
    return _tell(reports, as_json=arguments.json)


async def up(arguments: Namespace) -> int:
    """Keep a stack running until a signal comes."""
    async with Stack(StackOptions(arguments.dir, arguments.stylizers)) as stack:
        for name, url in stack.endpoints.items():
            print(f"{name:<12} {url}")
        print(f"{'logs':<12} {stack.logs}")
        print("\nStorage, for any tool that can upload a blob into the container 'uploads':")
        print(f"  {stack.storage_connection_string}")
        where = "" if arguments.dir == default_dir() else f" --dir {arguments.dir}"
        print(f"\nTry, in another terminal:  stylestream submit VIDEO --wait{where}")
        print("Ctrl-C stops everything.", flush=True)
        raise await stack.failed()


async def submit(arguments: Namespace) -> int:
    """Upload a video and tell its job."""
    request = _request(arguments)
    _refuse(_problems([arguments.video], request, None))
    async with _connect(arguments.dir) as jobs:
        submission = await jobs.submit(arguments.video, request)
        if not arguments.wait:
            print(
                json.dumps({"job_id": submission.job_id, "video": submission.video_name})
                if arguments.json
                else submission.job_id
            )
            return 0
        with JobProgress() as progress:
            status = await _wait(jobs, submission, progress)
    return _tell([Report.of(status, status.result)], as_json=arguments.json)


async def status(arguments: Namespace) -> int:
    """Tell about one job or all jobs."""
    async with _connect(arguments.dir) as jobs:
        if arguments.job is None:
            found = await jobs.all()
        else:
            found = [await _known(jobs, arguments.job)]
    for record in found:
        if arguments.json:
            print(Report.of(record, record.result).json())
        else:
            print(f"{record.job_id}  {Report.of(record, record.result).sentence()}")
    return 0


async def fetch(arguments: Namespace) -> int:
    """Download the result of a job that is done."""
    async with _connect(arguments.dir) as jobs:
        record = await _known(jobs, arguments.job)
        if record.result is None:
            why = f": {record.error.message}" if record.error else ""
            raise StylestreamError(f"job {record.job_id} is {record.state} and has no result{why}")
        path = _output_path(record, arguments.output)
        await jobs.fetch(record.result, path)
    print(path)
    return 0


async def styles(arguments: Namespace) -> int:
    """List the styles with what their cards say."""
    folder = os.environ.get("STYLES_DIR")
    for style in Gallery(Path(folder) if folder else None).styles.values():
        card = style.card
        if arguments.json:
            print(json.dumps({"name": style.name, **card.model_dump()}, ensure_ascii=False))
        else:
            year = f", {card.year}" if card.year else ""
            print(f"{style.name:<16} {card.title}, {card.painter}{year}")
    return 0


async def config(arguments: Namespace) -> int:
    """Print the services' settings in effect in this environment, secrets masked."""
    chosen = [arguments.service] if arguments.service else list(_SERVICES)
    problems: list[str] = []
    for name in chosen:
        try:
            settings = load(_SERVICES[name])
        except ConfigurationError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
            continue
        print(f"# {name}")
        for variable, value, meaning in describe(settings):
            print(f"{variable}={value}" + (f"  # {meaning}" if meaning else ""))
        print()
    _refuse(problems)
    return 0


def _request(arguments: Namespace) -> StyleRequest:
    return StyleRequest(style=arguments.style, max_side=arguments.max_side)


def _problems(videos: list[Path], request: StyleRequest, output: Path | None) -> list[str]:
    problems = []
    for video in videos:
        if not video.is_file():
            problems.append(f"{video}: no such file")
        elif not os.access(video, os.R_OK):
            problems.append(f"{video}: not readable")
    try:
        Gallery().find(request.style)
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


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigurationError(problems)


@asynccontextmanager
async def _connect(directory: Path | None) -> AsyncIterator[Jobs]:
    """Open the jobs of a stack's directory, the environment's storage, or the default stack."""
    connection = os.environ.get("STORAGE_CONNECTION_STRING")
    url = os.environ.get("STORAGE_ACCOUNT_URL")
    if directory is None and (connection or url):
        async with open_jobs(connection, url) as jobs:
            yield jobs
        return
    directory = directory or default_dir()
    state = running_stack(directory)
    if state is None:
        raise ConfigurationError(
            [
                f"no stack runs in {directory}: start one with 'stylestream up', or set "
                "STORAGE_CONNECTION_STRING or STORAGE_ACCOUNT_URL"
            ]
        )
    async with open_jobs(state.storage_connection_string, None) as jobs:
        yield jobs


async def _or_failure(stack: Stack, work: Coroutine[None, None, T]) -> T:
    """Await ``work`` on a stack, but no longer than the stack itself can live."""
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


async def _repaint(
    jobs: Jobs,
    videos: list[Path],
    request: StyleRequest,
    arguments: Namespace,
    progress: JobProgress,
) -> list[Report]:
    async def one(video: Path) -> Report:
        submission = await jobs.submit(video, request)
        status = await _wait(jobs, submission, progress)
        if status.result is None:
            return Report.of(status, None)
        path = _output_path(status, arguments.output or Path())
        await jobs.fetch(status.result, path)
        return Report.of(status, str(path))

    return list(await asyncio.gather(*(one(video) for video in videos)))


async def _wait(jobs: Jobs, submission: Submission, progress: JobProgress) -> Status:
    async for view in jobs.watch(submission.job_id):
        progress.show(submission.video_name, view)
    if view.status is None:
        raise AssertionError("a watch ends with an ended job")
    return view.status


async def _known(jobs: Jobs, job: str) -> Status:
    if not is_job_id(job):
        raise ConfigurationError([f"{job!r} is no job id: see 'stylestream status'"])
    view = await jobs.view(job)
    if view.status is None:
        raise StylestreamError(f"there is no job {job}: see 'stylestream status'")
    return view.status


def _output_path(status: Status, output: Path) -> Path:
    """Return where a result goes: a folder gets its name, a file name the result's true ending."""
    result = PurePosixPath(status.result or "")
    if output.is_dir():
        return output / result.name
    if output.suffix.lower() in {".mp4", ".mkv"} and output.suffix.lower() != result.suffix:
        # Sound that MP4 cannot hold makes the result Matroska; the name must not lie about that.
        return output.with_suffix(result.suffix)
    return output


def _tell(reports: list[Report], *, as_json: bool) -> int:
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
