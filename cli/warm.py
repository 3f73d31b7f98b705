"""A stack that stays for some minutes after a ``run``, so that the next one begins at once.

``stylestream run --keep-warm MINUTES`` starts this module as a process of its own. When it has been
idle for that long, it ends and deletes everything that it stored.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from client.local_stack import STATE_FILE, default_dir, lock, running_stack
from local.children import inherited, painting_settings, python
from shared.contracts.errors import StylestreamError

if TYPE_CHECKING:
    from local.stack import Stack

_LOOK_S: Final = 0.05
_LOG: Final = "supervisor.log"
_TAIL_LINES: Final = 5
_DISPOSABLE: Final = "disposable"
"""A file that marks a folder as one to delete; to remove a mark takes no room on a full disk."""


def find_warm() -> Path | None:
    """Return the directory of a running warm stack; None if there is none."""
    return next((folder for folder in _folders() if running_stack(folder)), None)


async def start_warm(minutes: int) -> Path:
    """Start a warm stack, and return its directory once it runs.

    Raises:
        StylestreamError: it does not start; the message quotes its log.
    """
    _sweep()
    folder = await asyncio.to_thread(_new_folder)
    starting = asyncio.ensure_future(asyncio.to_thread(_launch, folder, minutes))
    try:
        process = await asyncio.shield(starting)
        while running_stack(folder) is None:
            if process.poll() is not None:
                said = (folder / _LOG).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
                _remove(folder)
                raise StylestreamError(
                    "\n  ".join(["the stack that is to stay did not start:", *said])
                )
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:  # whoever wanted it no longer waits
        process = await starting
        process.terminate()
        await asyncio.to_thread(process.wait)
        _remove(folder)
        raise
    return folder


def keep_results(folder: Path) -> None:
    """Keep a warm stack's folder after its end, because nobody could fetch a result of it yet."""
    (folder / _DISPOSABLE).unlink(missing_ok=True)


async def stay(folder: Path, minutes: int) -> None:
    """Run a stack in ``folder`` until it has been idle for ``minutes``."""
    # Imported late: looking for such a stack does not need it.
    from local.stack import Stack, StackOptions

    async with Stack(StackOptions(folder, disposable=True)) as stack:
        ends = [asyncio.create_task(stack.idle(60 * minutes)), asyncio.create_task(_fail(stack))]
        try:
            done, others = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not _is_disposable(folder):
                stack.keep()
        for task in others:
            task.cancel()
        for task in done:
            task.result()


async def _fail(stack: Stack) -> None:
    raise await stack.failed()


def _launch(folder: Path, minutes: int) -> subprocess.Popen[bytes]:
    # Not asyncio's, whose processes end with the loop that started them.
    with (folder / _LOG).open("wb") as output:
        return subprocess.Popen(
            python("cli.warm", str(folder), str(minutes)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=inherited(folder) | painting_settings(),
            cwd=folder,
            start_new_session=True,
        )


def _place() -> Path:
    return default_dir().with_name("stylestream-warm")


def _new_folder() -> Path:
    while True:
        _place().mkdir(parents=True, exist_ok=True)
        # Another stack that ends at the same time may remove the empty folder.
        with suppress(FileNotFoundError):
            folder = Path(tempfile.mkdtemp(dir=_place()))
            (folder / _DISPOSABLE).touch()
            return folder


def _remove(folder: Path) -> None:
    """Delete a disposable stack's folder, and their common folder after the last one."""
    if _is_disposable(folder):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def _is_disposable(folder: Path) -> bool:
    return (folder / _DISPOSABLE).exists()


def _folders() -> list[Path]:
    return sorted(_place().iterdir()) if _place().is_dir() else []


def _sweep() -> None:
    """Delete the folders of stacks that were killed."""
    for folder in _folders():
        with ExitStack() as held:
            if not (folder / STATE_FILE).exists():  # it is starting
                continue
            try:
                # Shared, so that whoever looks for a stack meanwhile does not take it for running.
                lock(folder, fcntl.LOCK_SH, held)
            except OSError:
                continue
            _remove(folder)


def main() -> None:
    """Run the stack in the folder of the first argument; the second is its idle minutes."""
    folder, minutes = Path(sys.argv[1]), int(sys.argv[2])
    try:
        asyncio.run(stay(folder, minutes))
    except StylestreamError as error:
        sys.exit(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        if (folder / STATE_FILE).exists():
            _remove(folder)


if __name__ == "__main__":
    main()
