"""A result that cannot be written is kept, and the commands that fetch it are named."""

from __future__ import annotations

import asyncio
import shlex
import signal
from pathlib import Path

import psutil
import pytest
from command_processes import DEADLINE_S, run, start
from videos import Video, times

from client.local_stack import running_stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a clip.mp4"
    path.write_bytes(Video(frames=20, size=(96, 64)).make())
    return path


async def paint_into_a_folder_that_goes(
    clip: Path, path: Path, *options: str, **settings: str
) -> str:
    """Paint a clip, and delete the folder of the result meanwhile; return what is said about it."""
    path.parent.mkdir()
    process = await start("run", clip, "-o", path, *options, **settings)
    assert process.stderr
    async with asyncio.timeout(DEADLINE_S):
        while b": started" not in await process.stderr.readline():
            pass
        path.parent.rmdir()
        _, err = await process.communicate()
    assert process.returncode == 1
    (said,) = (line for line in err.decode().splitlines() if line.startswith("stylestream: "))
    return said


async def obey(up: str, fetch: str) -> Path:
    """Start a kept stack, fetch its result, and return the file."""
    stack = await start(*shlex.split(up)[1:])
    assert stack.stdout
    async with asyncio.timeout(DEADLINE_S):
        while b"Ctrl-C" not in await stack.stdout.readline():
            pass
    code, out, err = await run(*shlex.split(fetch)[1:])
    assert code == 0, err
    stack.send_signal(signal.SIGINT)
    await stack.communicate()
    return Path(out.strip())


@pytest.mark.slow
async def test_a_temporary_stack_is_kept_and_commands_are_named_that_fetch_the_result(
    clip: Path, tmp_path: Path
) -> None:
    temporary, path = tmp_path / "temporary", tmp_path / "out" / "my clip.mp4"
    temporary.mkdir()
    said = await paint_into_a_folder_that_goes(clip, path, TMPDIR=str(temporary))
    (kept,) = temporary.iterdir()
    why, _, commands = said.partition(". The result is kept; to fetch it: ")
    assert why == f"stylestream: a clip.mp4: done: cannot write {path}: No such file or directory"
    up, _, fetch = commands.partition("; in another terminal: ")
    assert up == f"stylestream up --dir {kept}"
    path.parent.mkdir()
    assert await obey(up, fetch) == path
    assert times(path) == times(clip)


@pytest.mark.slow
async def test_a_warm_stack_keeps_beyond_its_end_what_could_not_be_fetched(
    clip: Path, tmp_path: Path
) -> None:
    home, path = tmp_path / "home", tmp_path / "out" / "my clip.mp4"
    said = await paint_into_a_folder_that_goes(
        clip, path, "--keep-warm", "5", XDG_STATE_HOME=str(home)
    )
    (kept,) = (home / "stylestream-warm").iterdir()
    state = running_stack(kept)
    assert state is not None
    supervisor = psutil.Process(state.supervisor)
    supervisor.terminate()
    await asyncio.to_thread(supervisor.wait, DEADLINE_S)
    _, _, fetch = said.partition("to fetch it: ")
    path.parent.mkdir()
    code, _, err = await run(*shlex.split(fetch)[1:])
    assert code == 2
    assert f"no stack runs in {kept}: start one with 'stylestream up --dir {kept}'" in err
