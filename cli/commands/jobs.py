"""``stylestream status``, ``fetch``, ``open`` and ``rm``: jobs of a running stack, or in Azure."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.commands.common import refuse, refuse_needless, try_each
from cli.report import Report
from cli.results import Output, fetch_target, find_result_problems
from cli.suspension import drawn
from cli.table import table
from client import ConfigurationError, Pipeline, Status, StylestreamError, open_pipeline
from client.polling import polled
from shared.contracts.layout import is_job_id

REFRESH_S: Final = 1.0
_OPENERS: Final = ("open",) if sys.platform == "darwin" else ("xdg-open",)


async def status(arguments: Namespace) -> int:
    """Show one job or the newest ones; with ``--watch``, repeatedly."""
    if arguments.job is not None:
        of_lists = {"--state": arguments.state, "-n/--limit": arguments.limit}
        refuse_needless(of_lists, "is for lists of jobs, and cannot be combined with JOB")
    async with open_pipeline(arguments.dir) as pipeline:
        if arguments.watch:
            return await _watch(pipeline, arguments)
        found = await _find(pipeline, arguments)
    if arguments.json:
        for record in found:
            print(Report.of(record).json())
    elif arguments.job is not None:
        print(Report.of(found[0]).sentence())
    elif found:
        print("\n".join(table(found, _width(), datetime.now(UTC))))
    else:
        print("no jobs" + (f" are {arguments.state}" if arguments.state else " yet"))
    return 0


async def fetch(arguments: Namespace) -> int:
    """Download the result of a job that is done."""
    output: Output | None = arguments.output
    if problems := find_result_problems(output):
        raise ConfigurationError(problems)
    async with open_pipeline(arguments.dir) as pipeline:
        record = await pipeline.status(arguments.job)
        name = record.result or ""
        target = fetch_target(output, name)
        if name and target.existing and not arguments.force:
            raise StylestreamError(f"{target.existing} exists: --force replaces it")
        target.make_folder()
        path = target.file(name)
        print(await pipeline.fetch(arguments.job, path, replace=arguments.force))
    return 0


async def open_result(arguments: Namespace) -> int:
    """Show a job's result in this machine's video player."""
    opener = next(filter(None, map(shutil.which, _OPENERS)), None)
    if opener is None:
        raise StylestreamError(
            f"{_OPENERS[0]} is not installed, so a player cannot be opened: use 'stylestream fetch'"
        )
    async with open_pipeline(arguments.dir) as pipeline:
        # It is kept, because the player reads the file after this command has ended.
        folder = Path(tempfile.mkdtemp(prefix="stylestream-open-"))
        try:
            path = await pipeline.fetch(arguments.job, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    print(path, flush=True)
    await play(opener, path)
    return 0


async def play(opener: str, path: Path) -> None:
    """Open a video with the system's default player.

    Raises:
        StylestreamError: it could not be opened.
    """
    player = await asyncio.create_subprocess_exec(
        opener, path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    if code := await player.wait():
        raise StylestreamError(f"{Path(opener).name} could not open {path} (code {code})")


async def rm(arguments: Namespace) -> int:
    """Delete ended jobs: their uploads, results and records."""
    strange = [job for job in arguments.jobs if not is_job_id(job)]
    refuse([f"{job!r} cannot be a job's id: see 'stylestream status'" for job in strange])
    async with open_pipeline(arguments.dir) as pipeline:
        return await try_each(pipeline.delete, arguments.jobs, lambda job: f"{job}: deleted")


async def _find(pipeline: Pipeline, arguments: Namespace) -> list[Status]:
    if arguments.job is not None:
        return [await pipeline.status(arguments.job)]
    found = await pipeline.list()
    if arguments.state:
        found = [record for record in found if record.state == arguments.state]
    return found[: arguments.limit]


async def _watch(pipeline: Pipeline, arguments: Namespace) -> int:
    """Show jobs until Ctrl-C, or one job until it has ended."""
    console = Console(highlight=False, markup=False, emoji=False)
    with drawn(Live(console=console, auto_refresh=False, screen=False)) as live:
        async for found in polled(lambda: _find(pipeline, arguments), REFRESH_S):
            lines = table(found, console.width, datetime.now(UTC))[: max(2, console.height - 1)]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            if arguments.job is not None and found[0].ended:
                break
    if not console.is_terminal:
        print()  # without redrawing, the last line is left open
    return 0


def _width() -> int:
    """Return the width of the terminal; without one, lines are not limited."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 500
