"""Commands that start a stack of their own: what they paint and report, and what they leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from command_processes import DEADLINE_S, run, start
from videos import Sound, Video, packets, times

from client.local_stack import running_stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def until_gone(*processes: psutil.Process) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while any(map(runs, processes)):
            await asyncio.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a clip.mp4"
    path.write_bytes(Video(frames=20, size=(96, 64), sounds=[Sound()]).make())
    return path


async def test_run_paints_a_video_and_tells_programs_about_it(clip: Path, tmp_path: Path) -> None:
    # A proxy is for what is beyond this machine.
    nowhere = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    code, out, err = await run("run", clip, "-o", tmp_path / "painted.mp4", "--json", **nowhere)
    assert code == 0, err
    report = json.loads(out)
    assert report["status"] == "done"
    assert report["frames"] == 20
    assert (report["video"], report["input"]) == ("a clip.mp4", str(clip))
    assert report["error"] is None
    assert {"job_id", "chunks", "seconds", "fps", "output"} <= report.keys()
    result = Path(report["output"])
    assert times(result) == times(clip)
    assert packets(result) == packets(clip)
    told = err.splitlines()
    assert told[0] == "starting the pipeline on this machine ..."
    assert "a clip.mp4: started" in told


async def test_a_stack_that_is_kept_warm_paints_what_comes_next_and_leaves_nothing(
    clip: Path, tmp_path: Path
) -> None:
    home, out = {"XDG_STATE_HOME": str(tmp_path / "home")}, f"{tmp_path}/painted/"
    code, _, err = await run("run", clip, "-o", out, "--keep-warm", "5", **home)
    assert code == 0, err
    (folder,) = (tmp_path / "home/stylestream-warm").iterdir()
    for style, named in (("udnie", ()), ("the-scream", ("--dir", folder))):
        code, _, err = await run("run", clip, "--style", style, "-o", out, *named, **home)
        assert code == 0, err
        assert f"painting in the stack that runs in {folder}" in err
    painted = {f"a clip.{style}.mp4" for style in ("starry-night", "udnie", "the-scream")}
    assert set(await asyncio.to_thread(os.listdir, out)) == painted

    state = running_stack(folder)
    assert state is not None
    supervisor = psutil.Process(state.supervisor)
    children = supervisor.children(recursive=True)
    supervisor.terminate()
    await until_gone(supervisor, *children)
    assert not folder.parent.exists()


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_ctrl_c_ends_a_run_at_once_and_leaves_nothing(
    clip: Path, tmp_path: Path, times: int
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = await start("run", "--style", "udnie", "-o", tmp_path / "x.mp4", TMPDIR=str(folder))
    assert process.stderr
    async with asyncio.timeout(DEADLINE_S):
        while b"started" not in await process.stderr.readline():
            pass
    children = psutil.Process(process.pid).children(recursive=True)
    for _ in range(times):
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.05)  # as fast as an impatient user presses it
    async with asyncio.timeout(DEADLINE_S):
        _, err = await process.communicate()
    assert process.returncode == 130
    assert b"stopping ..." in err
    assert b"Traceback" not in err
    await until_gone(*children)
    assert [*folder.iterdir()] == []


async def test_a_job_that_fails_is_exit_code_1_with_its_cause_on_stderr(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video " * 50)
    code, out, err = await run("run", text, "-o", tmp_path, "--json")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "NOT_A_VIDEO"
    assert len(err.strip().splitlines()) == 1
    assert "notes.mp4" in err


async def test_failures_among_several_videos_are_named_again_at_the_end(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.mp4").write_text("no video " * 50)
    (tmp_path / "a/photo.jpg").touch()
    code, out, err = await run("run", tmp_path / "a", tmp_path / "b", "-o", tmp_path, "--json")
    assert code == 1
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["input"] for one in told] == [f"{tmp_path}/{folder}/notes.mp4" for folder in "ab"]
    left_out, first, _, last = err.splitlines()
    assert "left out photo.jpg" in left_out
    assert first.startswith("stylestream: a/notes.mp4: failed: ")
    assert last == "0 of 2 videos are done; failed: a/notes.mp4, b/notes.mp4"


@pytest.mark.slow
async def test_ctrl_c_stops_everything_that_was_started(clip: Path, tmp_path: Path) -> None:
    process = await start("up", "--dir", tmp_path / "stack")
    assert process.stdout
    async with asyncio.timeout(DEADLINE_S):
        while b"Ctrl-C" not in await process.stdout.readline():
            pass
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 5
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE_S):
        await process.communicate()
    assert process.returncode == 130
    await until_gone(*children)
