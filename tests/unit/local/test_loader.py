"""Services as forks of one process: they are started, ended and restarted as processes are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import psutil
import pytest

from local.children import inherited, python
from local.loader import Loader
from local.processes import Command, Supervised
from local.readiness import LineReady
from shared.contracts.errors import StylestreamError
from shared.forks.client import ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 60.0
SERVICE = """
    import json, os, signal, sys, threading
    if "FAIL" in os.environ:
        sys.exit("the disk is full")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    seen = {
        "arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd(),
        "input": sys.stdin.read(), "session": os.getsid(0), "pid": os.getpid(),
        "files": len(os.listdir("/proc/self/fd")), "name": __name__,
    }
    print("ready", json.dumps(seen), flush=True)
    signal.pause()
"""
Start = Callable[..., Awaitable[Supervised]]


@pytest.fixture
async def loader(tmp_path: Path) -> AsyncIterator[Loader]:
    """A loader that has loaded nothing, and finds the service ``waiting``."""
    (tmp_path / "waiting.py").write_text(textwrap.dedent(SERVICE))
    environment = inherited(tmp_path)
    environment["PYTHONPATH"] += f":{tmp_path}"
    async with Loader(environment, tmp_path / "loader.log", loaded=()) as loader:
        yield loader


@pytest.fixture
async def start(loader: Loader, tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Supervised] = []

    async def one(
        *arguments: str, on_change: Callable[[], None] = lambda: None, **environment: str
    ) -> Supervised:
        command = Command(
            f"worker-{len(started)}",
            python("waiting", *arguments),
            {**loader.environment, **environment},
            tmp_path / f"worker-{len(started)}.log",
            LineReady("ready "),
            grace_s=DEADLINE_S,
        )
        started.append(process := Supervised(command, on_change, loader.launch))
        await process.start()
        return process

    yield one
    await asyncio.gather(*(process.stop() for process in started))


def seen_by(process: Supervised) -> dict[str, object]:
    return dict(json.loads(LineReady("ready ").find(process.output) or "{}"))


def parent_of(process: Supervised) -> psutil.Process:
    parent = psutil.Process(process.pid).parent()
    assert parent is not None
    return parent


async def gone(*processes: psutil.Process) -> bool:
    _, left = await asyncio.to_thread(psutil.wait_procs, processes, timeout=DEADLINE_S)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in left)


async def test_a_fork_is_the_process_that_its_command_would_be(
    start: Start, loader: Loader, tmp_path: Path
) -> None:
    first, second = await asyncio.gather(start("a", "b", SECRET="1"), start(SECRET="2"))

    loading = parent_of(first)
    assert parent_of(second) == loading
    assert loading.ppid() == os.getpid()
    assert "SECRET" not in loading.environ()
    assert psutil.Process(first.pid).name() == "worker-0"
    assert seen_by(first) == {
        "arguments": ["a", "b"],
        "environment": {**loader.environment, "SECRET": "1"},
        "folder": str(tmp_path),
        "input": "",
        "session": first.pid,
        "pid": first.pid,
        # Its own three, and the listed folder
        "files": 4,
        "name": "__main__",
    }
    await first.stop()
    assert first.pid is None
    assert second.pid is not None


async def test_a_killed_fork_is_started_again_and_its_neighbour_stays(start: Start) -> None:
    changed = asyncio.Event()
    struck, spared = await start(on_change=changed.set), await start()
    before, loading = (struck.pid, spared.pid), parent_of(struck)
    assert before[0] is not None

    os.kill(before[0], signal.SIGKILL)
    await asyncio.wait_for(changed.wait(), DEADLINE_S)

    assert struck.pid not in (None, before[0])
    assert spared.pid == before[1]
    assert parent_of(struck) == loading


async def test_services_of_a_loader_that_was_killed_are_started_again(start: Start) -> None:
    changes: asyncio.Queue[None] = asyncio.Queue()
    both = [await start(on_change=lambda: changes.put_nowait(None)) for _ in range(2)]
    before = [psutil.Process(process.pid) for process in both]
    loading = parent_of(both[0])

    loading.kill()
    for _ in both:
        await asyncio.wait_for(changes.get(), DEADLINE_S)

    assert await gone(loading, *before)
    assert [process.restarts for process in both] == [1, 1]
    assert parent_of(both[0]) == parent_of(both[1]) != loading


async def test_a_fork_that_ends_is_named_with_its_last_words(start: Start) -> None:
    with pytest.raises(StylestreamError, match=r"ended with code 1 before it was ready(.|\n)*full"):
        await start(FAIL="1")


async def test_a_service_with_startup_variables_of_its_own_gets_a_process_of_its_own(
    start: Start,
) -> None:
    own = await start(MALLOC_ARENA_MAX="2")

    assert parent_of(own).pid == os.getpid()


async def test_without_a_loader_each_loads_by_itself(
    start: Start, loader: Loader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loader.server = ForkServer((sys.executable, "-c", "1 / 0"), {}, tmp_path / "loader.log")

    alone = await start()

    assert parent_of(alone).pid == os.getpid()
    assert f"worker-0 loads by itself; {tmp_path / 'loader.log'} says why" in caplog.text
    assert "ZeroDivisionError" in (tmp_path / "loader.log").read_text()


async def test_no_fork_outlives_a_killed_supervisor(loader: Loader, tmp_path: Path) -> None:
    running, fork = supervised_by_another(loader.environment, tmp_path)
    forked_from = fork.parent()
    assert forked_from is not None

    running.kill()
    running.communicate()

    assert await gone(fork, forked_from)


def supervised_by_another(
    environment: Mapping[str, str], folder: Path
) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Return another process that supervises, and the service that it has forked."""
    supervisor = f"""
        import asyncio, pathlib
        from local.children import python
        from local.loader import Loader
        from local.processes import Command, Supervised
        from local.readiness import LineReady
        async def main():
            folder, environment = pathlib.Path({str(folder)!r}), {dict(environment)!r}
            async with Loader(environment, folder / "loader.log", loaded=()) as loader:
                command = Command("worker", python("waiting"), environment, folder / "worker.log",
                                  LineReady("ready "))
                process = Supervised(command, launch=loader.launch)
                await process.start()
                print(process.pid, flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(supervisor)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert running.stdout is not None
    return running, psutil.Process(int(running.stdout.readline()))
