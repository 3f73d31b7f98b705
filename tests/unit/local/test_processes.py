"""Supervision of small real processes."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from local.processes import RESTARTS_IN_A_ROW, Command, Supervised
from local.readiness import HttpReady, LineReady, Readiness, TcpReady
from shared.contracts.errors import ConfigurationError, StylestreamError

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
READY_AND_STAY = "import time; print('ready now', flush=True); time.sleep(600)"
Start = Callable[..., Awaitable[Supervised]]


def command(
    log: Path, script: str, ready: Readiness | None = None, **options: float | str
) -> Command:
    return Command(
        name=str(options.pop("name", "worker")),
        argv=(sys.executable, "-c", textwrap.dedent(script)),
        environment={"PATH": os.environ["PATH"]},
        log=log,
        ready=ready or LineReady("ready "),
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start scripts as supervised processes; stops them all at the end."""
    started: list[Supervised] = []

    async def one(
        script: str,
        ready: Readiness | None = None,
        on_change: Callable[[], None] = lambda: None,
        **options: float,
    ) -> Supervised:
        process = Supervised(command(tmp_path / "worker.log", script, ready, **options), on_change)
        started.append(process)
        await process.start()
        return process

    yield one
    await asyncio.gather(*(process.stop() for process in started))


async def gone(pid: int, within_s: float = PATIENCE_S) -> bool:
    """Wait until the process has ended (a zombie that nobody waits for counts as ended)."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_start_returns_once_the_ready_line_is_written(start: Start) -> None:
    process = await start(READY_AND_STAY)

    assert process.pid is not None
    assert LineReady("ready ").find(process.output) == "now"
    usage = process.usage()
    assert usage is not None
    assert usage.peak_rss_bytes > 1_000_000


def test_half_a_ready_line_does_not_count() -> None:
    assert LineReady("ready ").find("noise\nready Endpoint=sb://lo") is None
    assert LineReady("ready ").find("noise\nready a\nready b\n") == "a"


@pytest.mark.parametrize("probe", ["tcp", "http"])
async def test_a_listening_server_is_ready(start: Start, unused_port: int, probe: str) -> None:
    server = f"""
        import http.server
        class Probe(http.server.BaseHTTPRequestHandler):
            asked = 0
            def do_GET(self):
                Probe.asked += 1
                self.send_response(200 if Probe.asked > 2 else 503)
                self.end_headers()
        http.server.HTTPServer(("127.0.0.1", {unused_port}), Probe).serve_forever()
    """
    ready = (
        TcpReady(unused_port)
        if probe == "tcp"
        else HttpReady(f"http://127.0.0.1:{unused_port}/readyz")
    )

    process = await start(server, ready)

    answers = process.output.count("GET /readyz")
    assert answers >= 3 if probe == "http" else answers == 0


async def test_a_process_that_ends_at_once_is_named_with_its_last_words(start: Start) -> None:
    with pytest.raises(StylestreamError) as raised:
        await start("print('no such disk'); raise SystemExit(3)")

    assert str(raised.value).startswith("worker ended with code 3 before it was ready")
    assert "no such disk" in str(raised.value)


async def test_a_service_that_refuses_its_settings_is_quoted_without_its_log(start: Start) -> None:
    refuses = "print('it starts'); print('worker: ENGINE=abacus'); raise SystemExit(2)"

    with pytest.raises(ConfigurationError) as refused:
        await start(refuses)

    assert refused.value.problems == ["ENGINE=abacus"]


async def test_a_process_that_never_gets_ready_is_killed_and_named(start: Start) -> None:
    script = "import time; time.sleep(600)  # and says nothing"

    with pytest.raises(StylestreamError, match=r"^worker was not ready after 0\.5 s; it wrote"):
        await start(script, start_timeout_s=0.5)

    assert not [child for child in psutil.Process().children() if script in child.cmdline()]


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = Command("broker", ("/no/such/program",), {}, tmp_path / "log", LineReady("ready"))

    with pytest.raises(StylestreamError, match=r"broker cannot be started.*No such file"):
        await Supervised(missing).start()


async def test_a_killed_process_is_started_again(start: Start) -> None:
    changed = asyncio.Event()
    process = await start(READY_AND_STAY, on_change=changed.set)
    first = process.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(changed.wait(), PATIENCE_S)

    assert process.restarts == 1
    assert process.pid not in (None, first)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signals")
async def test_a_process_that_a_signal_without_a_name_ended_is_started_again(start: Start) -> None:
    changed = asyncio.Event()
    process = await start(READY_AND_STAY, on_change=changed.set)
    assert process.pid is not None

    os.kill(process.pid, signal.SIGRTMIN + 6)
    await asyncio.wait_for(changed.wait(), PATIENCE_S)

    assert process.restarts == 1
    assert process.pid is not None


async def test_an_end_is_told_once_however_often_the_next_start_fails(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("local.processes.FIRST_PAUSE_S", 0.0)
    given_up = asyncio.Event()
    process = await start(
        READY_AND_STAY, on_change=lambda: given_up.set() if process.failure else None
    )
    assert process.pid is not None

    process.command = replace(process.command, argv=("/no/such/program",))
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(given_up.wait(), 2 * PATIENCE_S)

    assert caplog.text.count("SIGKILL") == 1
    assert caplog.text.count("worker cannot be started") == RESTARTS_IN_A_ROW


async def test_a_restart_waits_out_that_no_file_can_be_opened(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, looks = asyncio.Event(), list[int]()
    process = await start(READY_AND_STAY, on_change=changed.set)
    assert process.pid is not None
    opened = Path.open

    def open_later(path: Path, mode: str = "r", **options: Any) -> IO[Any]:
        if mode == "rb" and path == process.command.log:
            looks.append(len(looks))
            if len(looks) < 3:
                raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_later)
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(changed.wait(), PATIENCE_S)

    assert len(looks) >= 3
    assert process.restarts == 1
    assert process.pid is not None


async def test_a_crash_loop_ends_in_a_failure_with_its_cause(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.processes.FIRST_PAUSE_S", 0.0)
    script = f"""
        import pathlib, time
        first = pathlib.Path({str(tmp_path / "started")!r})
        if first.exists():
            raise SystemExit("the database is gone")
        first.touch()
        print("ready once", flush=True)
        time.sleep(600)
    """
    changes: asyncio.Queue[None] = asyncio.Queue()

    process = await start(script, on_change=lambda: changes.put_nowait(None))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(2 * PATIENCE_S):
        while process.failure is None:
            await changes.get()

    assert "worker ended 8 times in a row" in str(process.failure)
    assert "the database is gone" in str(process.failure)
    assert process.pid is None


async def test_stopping_lets_a_process_finish(start: Start) -> None:
    process = await start("""
        import signal, sys, time
        def finish(*_):
            print("finished", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, finish)
        print("ready ", flush=True)
        time.sleep(600)
    """)

    await process.stop()

    assert "finished" in process.output
    assert process.restarts == 0
    assert process.pid is None


async def test_a_process_that_is_gone_is_not_killed_since_others_may_have_its_number(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await start(READY_AND_STAY)
    await process.stop()
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))

    await process.stop()

    assert not killed


async def test_stopping_kills_a_process_that_ignores_it_with_all_its_children(start: Start) -> None:
    process = await start(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("ready", child.pid, flush=True)
        time.sleep(600)
        """,
        grace_s=0.2,
    )
    grandchild = int(LineReady("ready ").find(process.output) or 0)

    await process.stop()

    assert await gone(grandchild)


async def test_the_log_of_the_run_before_is_kept(start: Start, tmp_path: Path) -> None:
    await (await start("import time; print('ready one', flush=True); time.sleep(600)")).stop()
    await start(READY_AND_STAY)

    assert "ready one" in (tmp_path / "worker.log.1").read_text()
    assert "ready one" not in (tmp_path / "worker.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
async def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    children = children_of_a_killed_supervisor(tmp_path)

    assert [await gone(pid) for pid in children] == [True, True]


def children_of_a_killed_supervisor(tmp_path: Path) -> list[int]:
    """Let another process supervise two children and kill it once both are ready."""
    supervisor = f"""
        import asyncio, pathlib, sys
        from local.processes import Command, Supervised
        from local.readiness import LineReady
        async def main():
            children = [
                Supervised(Command(n, (sys.executable, "-c", {READY_AND_STAY!r}), {{}},
                           pathlib.Path({str(tmp_path)!r}, n + ".log"), LineReady("ready ")))
                for n in ("one", "two")
            ]
            for child in children:
                await child.start()
            print(*(child.pid for child in children), flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
    """
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(supervisor)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert running.stdout is not None
    children = [int(pid) for pid in running.stdout.readline().split()]
    assert len(children) == 2

    running.kill()
    running.wait()
    running.stdout.close()
    return children
