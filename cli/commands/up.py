"""``stylestream up``: keeps a stack running on this machine."""

from __future__ import annotations

import asyncio
import shlex
import sys
import webbrowser
from argparse import Namespace
from contextlib import AsyncExitStack

from cli.commands.common import (
    engine_environment,
    find_engine_problems,
    refuse,
    refuse_needless,
)
from cli.commands.logs import shown
from cli.commands.setup import ensure_azurite
from cli.progress import JobProgress
from client.local_stack import default_dir, running_stack
from local.stack import Stack, StackOptions


async def up(arguments: Namespace) -> int:
    """Keep a stack running until a signal arrives; with ``--open``, open one that runs already."""
    refuse(find_engine_problems(arguments.engine))
    running = running_stack(arguments.dir) if arguments.open else None
    if running is not None and running.studio_address:
        return await _open_running(arguments, running.studio_address)
    options = StackOptions(
        arguments.dir,
        arguments.stylizers or 1,
        studio=True,
        environment=engine_environment(arguments.engine),
    )
    async with AsyncExitStack() as closing:
        with JobProgress(quiet=arguments.quiet) as progress:
            await ensure_azurite(progress)
            if arguments.verbose:
                await closing.enter_async_context(shown(arguments.dir / "logs", _log))
            with progress.starting("starting the pipeline on this machine") as waiting:
                stack = await closing.enter_async_context(Stack(options, waiting))
            if said := stack.engine_sentence():
                progress.say(said)
        print(f"open {stack.studio_address}\n", flush=True)
        if arguments.open:
            await _open(stack.studio_address)
        places = {**stack.endpoints, "announced": stack.announcements, "logs": stack.logs}
        width = max(map(len, places))
        for name, place in places.items():
            print(f"{name:<{width}}  {place}")
        print("\nStorage, for any tool that can upload a blob into the container 'uploads':")
        print(f"  {stack.storage_connection_string}")
        folder = shlex.quote(str(arguments.dir.absolute()))
        where = "" if arguments.dir == default_dir() else f" --dir {folder}"
        print(f"\nTry, in another terminal:  stylestream submit VIDEO --wait{where}")
        print("Ctrl-C stops everything.", flush=True)
        raise await stack.failed()


async def _open_running(arguments: Namespace, address: str) -> int:
    """Open the studio of a stack that runs already."""
    of_starts = {
        "--stylizers": arguments.stylizers,
        "--engine": arguments.engine,
        "-v/--verbose": arguments.verbose,
    }
    refuse_needless(of_starts, f"has no effect: the stack in {arguments.dir} is running already")
    print(f"the studio is running already: open {address}", flush=True)
    await _open(address)
    return 0


async def _open(address: str) -> None:
    await asyncio.to_thread(webbrowser.open, address)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
