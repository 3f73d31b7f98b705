"""Where ``run`` paints: in a running stack, or in one that is started for it."""

from __future__ import annotations

import asyncio
import functools
import shlex
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.commands.common import engine_environment, refuse
from cli.commands.logs import shown
from cli.commands.setup import ensure_azurite
from cli.interruption import interrupted_once
from cli.progress import JobProgress
from cli.room import find_room_problems, shortage
from cli.warm import find_warm, keep_results, start_warm
from client.local_stack import default_dir, running_stack

if TYPE_CHECKING:
    from client import Pipeline
    from local.stack import Stack


@dataclass(frozen=True, slots=True)
class Place:
    """Where videos are painted: in a running stack, or in ``stack``, which was started for them."""

    pipeline: Pipeline
    directory: Path
    keep: Callable[[], None]
    """Lets results outlive a stack whose directory would be deleted with it."""
    stack: Stack | None = None

    def fetching(self, job: str, path: Path) -> str:
        """Return the commands that fetch a job's result when this command has ended."""
        of = ("--dir", str(self.directory.absolute()))
        fetch = shlex.join(["stylestream", "fetch", job, *of, "-o", str(path.absolute())])
        if self.stack is None:
            return fetch
        return f"{shlex.join(['stylestream', 'up', *of])}; in another terminal: {fetch}"


@asynccontextmanager
async def open_place(
    arguments: Namespace, progress: JobProgress, videos: list[Path]
) -> AsyncIterator[Place]:
    """Open a running stack, if there is one as the options ask; else start one.

    Raises:
        ConfigurationError: there is no room for the ``videos`` where it keeps them.
    """
    if running := await _find_running(arguments, progress):
        progress.say(f"painting in the stack that runs in {running}")
        from client import open_pipeline

        _check_room(videos, running, progress)
        async with _logs(arguments, running, progress), open_pipeline(running) as found:
            yield Place(found, running, functools.partial(keep_results, running))
        return
    await ensure_azurite(progress)
    # Imported late: not needed if a stack is running.
    from local.stack import Stack, StackOptions

    async with AsyncExitStack() as closing:
        closing.enter_context(interrupted_once())
        temporary = closing.enter_context(ExitStack())
        directory = arguments.dir or _temporary_folder(temporary)
        _check_room(videos, directory, progress)
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

        def keep() -> None:
            stack.keep()
            temporary.pop_all()

        try:
            yield Place(pipeline, directory, keep, stack)
        except asyncio.CancelledError:
            print("stylestream: stopping ...", file=sys.stderr, flush=True)
            raise


def _temporary_folder(closing: ExitStack) -> Path:
    """Make a folder that is deleted when ``closing`` is closed."""
    folder = tempfile.mkdtemp(prefix="stylestream-")
    closing.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _check_room(videos: list[Path], directory: Path, progress: JobProgress) -> None:
    problems = find_room_problems(videos, directory)
    refuse([f"{problem}, or choose another disk with --dir or TMPDIR" for problem in problems])
    progress.explain_waiting = functools.partial(shortage, directory)


def wants_its_own(arguments: Namespace) -> bool:
    """Return whether options ask for a stack of their own, unless one runs in the folder named."""
    return any(o is not None for o in (arguments.dir, arguments.stylizers, arguments.engine))


async def _find_running(arguments: Namespace, progress: JobProgress) -> Path | None:
    """Return the directory of a running stack, or of a warm one that is started."""
    if wants_its_own(arguments):
        named = arguments.dir if arguments.stylizers is arguments.engine is None else None
        return named if named and running_stack(named) else None
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
