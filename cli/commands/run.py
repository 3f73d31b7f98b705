"""``stylestream run`` and ``stylestream up``: a stack on this machine."""

from __future__ import annotations

import asyncio
import tempfile
from argparse import Namespace
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from cli.commands.common import (
    RESULT_ENDINGS,
    find_overwritten,
    find_problems,
    find_result_problems,
    read_request,
    refuse,
    tell,
    wait_for,
)
from cli.progress import JobProgress
from cli.report import Report
from client import Account, Pipeline, open_pipeline
from client.local_stack import default_dir
from local.defaults import SAMPLE
from local.stack import Stack, StackOptions
from shared.contracts.layout import result_blob
from shared.contracts.style_request import StyleRequest

T = TypeVar("T")


async def run(arguments: Namespace) -> int:
    """Start a stack, repaint the videos, fetch the results, stop the stack."""
    videos = arguments.videos or [SAMPLE]
    refuse(find_problems(videos, arguments) + find_result_problems(arguments.output, videos))
    request = read_request(arguments)
    refuse(_find_overwritten(videos, request, arguments.output or Path()))
    async with AsyncExitStack() as closing:
        progress = closing.enter_context(JobProgress())
        directory = arguments.dir or Path(
            closing.enter_context(tempfile.TemporaryDirectory(prefix="stylestream-"))
        )
        progress.say("starting Event Hubs, storage, and the services on this machine ...")
        stack = await closing.enter_async_context(
            Stack(StackOptions(directory, arguments.stylizers))
        )
        pipeline = await closing.enter_async_context(
            open_pipeline(Account(stack.storage_connection_string))
        )
        reports = await _or_failure(stack, _repaint(pipeline, videos, request, arguments, progress))
        progress.say("stopping ...")
    return tell(reports, as_json=arguments.json)


async def up(arguments: Namespace) -> int:
    """Keep a stack running until a signal comes."""
    async with Stack(StackOptions(arguments.dir, arguments.stylizers)) as stack:
        for name, url in stack.endpoints.items():
            print(f"{name:<12} {url}")
        print(f"{'announced':<12} {stack.announcements}")
        print(f"{'logs':<12} {stack.logs}")
        print("\nStorage, for any tool that can upload a blob into the container 'uploads':")
        print(f"  {stack.storage_connection_string}")
        where = "" if arguments.dir == default_dir() else f" --dir {arguments.dir}"
        print(f"\nTry, in another terminal:  stylestream submit VIDEO --wait{where}")
        print("Ctrl-C stops everything.", flush=True)
        raise await stack.failed()


def _find_overwritten(videos: list[Path], request: StyleRequest, output: Path) -> list[str]:
    """Find videos that look like another's result: of an earlier run in the same folder."""
    if not output.is_dir():
        return []
    results = [
        output / result_blob(video.name, request.slug, ending.removeprefix("."))
        for video in videos
        for ending in RESULT_ENDINGS
    ]
    return find_overwritten(f"-o {output}", results, videos)


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
    pipeline: Pipeline,
    videos: list[Path],
    request: StyleRequest,
    arguments: Namespace,
    progress: JobProgress,
) -> list[Report]:
    async def one(video: Path) -> Report:
        submission = await pipeline.submit(video, request)
        status = await wait_for(pipeline, submission, progress)
        if status.result is None:
            return Report.of(status, None)
        path = await pipeline.fetch(status.job_id, arguments.output or Path())
        return Report.of(status, str(path))

    return list(await asyncio.gather(*(one(video) for video in videos)))
