"""The stack with its real broker and Azurite, around stand-ins for the three services."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from azure.storage.blob.aio import BlobServiceClient

from client.local_stack import StackState, running_stack
from local.processes import Supervised
from local.stack import CONTAINERS, Stack, StackOptions
from local.workspace import Workspace
from shared.contracts.errors import ConfigurationError, StylestreamError

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0
SERVICE = """
    import http.server, os, signal, sys
    if "FAIL" in os.environ:
        sys.exit("the disk is full")
    def end(*_):
        print("asked to end", flush=True)
        if "STAY" not in os.environ:
            sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    print(dict(os.environ), flush=True)
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
    http.server.HTTPServer(("127.0.0.1", int(os.environ["METRICS_PORT"])), Ready).serve_forever()
"""


@pytest.fixture
def services(tmp_path: Path) -> dict[str, str]:
    """An environment in which the services are stand-ins that only get ready."""
    for name in ("splitter", "stylizer", "assembler"):
        package = tmp_path / "services" / name
        package.mkdir(parents=True)
        # A folder without it is found after a real package, wherever that is.
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(textwrap.dedent(SERVICE))
        # What the gate loads beforehand; a real service's takes a second of CPU time.
        (package / "service.py").touch()
    return {"PYTHONPATH": str(tmp_path / "services")}


def environment_of(stack: Stack, name: str) -> dict[str, str]:
    """Read what a stand-in was started with."""
    first = (stack.logs / f"{name}.log").read_text().splitlines()[0]
    return dict(ast.literal_eval(first))


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the processes that were stopped, in order."""
    names: list[str] = []
    stop = Supervised.stop

    async def recorded(process: Supervised) -> None:
        await stop(process)
        names.append(process.name)

    monkeypatch.setattr(Supervised, "stop", recorded)
    return names


async def test_a_stack_starts_in_order_restarts_the_dead_scales_and_leaves_nothing_running(
    tmp_path: Path, services: dict[str, str], monkeypatch: pytest.MonkeyPatch, stopped: list[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET", "not for children")
    monkeypatch.setenv("PRECISION", "fp32")
    directory, waited = tmp_path / "stack", list[list[str]]()
    options = StackOptions(directory, stylizers=2, environment={**services, "CHUNK_FRAMES": "16"})

    async with Stack(options, waited.append) as stack:
        assert stopped == []
        names = [process.name for process in stack.processes]
        assert names == [
            *("eventhubs", "azurite", "splitter", "assembler", "stylizer-1", "stylizer-2")
        ]
        check_start(waited, base=set(names[:2]), after=set(names[2:]))
        await check_storage(stack.storage_connection_string)
        check_environment(environment_of(stack, "stylizer-2"), stack)
        state = check_state(directory, stack)

        with pytest.raises(StylestreamError, match=f"in use by a running stack .*{os.getpid()}"):
            await Stack(options).__aenter__()
        assert await port_block_of(tmp_path / "beside") != state.port_block

        await check_restart(directory, stack)
        await check_scaling(stack)
        children = [process.pid for process in stack.processes]
        stopped.clear()

    assert not [pid for pid in children if pid is not None and psutil.pid_exists(pid)]
    # Against the flow of data
    assert set(stopped[:3]) == {"assembler", "splitter", "stylizer-1"}
    assert stopped[3:] == ["azurite", "eventhubs"]
    assert running_stack(directory) is None
    # A blob's address is part of its job's identity
    assert await port_block_of(directory) == state.port_block
    with pytest.raises(ConfigurationError, match="made for 8 stylizers at most, not for 9"):
        await Stack(StackOptions(directory, stylizers=9)).__aenter__()


def check_start(waited: list[list[str]], *, base: set[str], after: set[str]) -> None:
    assert set().union(*waited) == base | after
    # Services are ready after what they need.
    assert sorted(after) in waited
    assert waited[-1] == []


async def check_storage(connection: str) -> None:
    async with BlobServiceClient.from_connection_string(connection) as account:
        assert {found.name async for found in account.list_containers()} == set(CONTAINERS)


def check_environment(environment: dict[str, str], stack: Stack) -> None:
    assert environment["EVENTHUB_CONNECTION_STRING"] == stack.eventhub_connection_string
    assert environment["STORAGE_CONNECTION_STRING"] == stack.storage_connection_string
    assert environment["CHUNK_FRAMES"] == "16"
    assert int(environment["LANES"]) >= 1
    assert environment["PRECISION"] == "fp32"
    assert "AWS_SECRET" not in environment


def check_state(directory: Path, stack: Stack) -> StackState:
    state = running_stack(directory)
    assert state is not None
    assert state.endpoints == stack.endpoints
    assert state.storage_connection_string == stack.storage_connection_string
    # Names of this machine are looked up in /etc/hosts, which need not have them.
    assert "localhost" not in state.model_dump_json()
    assert stat.S_IMODE((directory / "stack.json").stat().st_mode) == 0o600
    return state


async def port_block_of(directory: Path) -> int:
    """Claim a directory, as a stack does, and return the first of its ports."""
    workspace = Workspace(directory)
    await workspace.claim()
    workspace.release()
    return workspace.port(0)


async def check_restart(directory: Path, stack: Stack) -> None:
    """A dead service comes back as often as it dies, and the state file follows if it can."""
    [splitter] = [p for p in stack.processes if p.name == "splitter"]
    seen = {None, splitter.pid}
    in_the_way = directory / "stack.json.new"

    in_the_way.mkdir()
    for _ in range(2):
        kill(splitter)
        async with asyncio.timeout(PATIENCE_S):
            while splitter.pid in seen:
                await asyncio.sleep(0.02)
        seen.add(splitter.pid)
    in_the_way.rmdir()
    kill(splitter)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            state = running_stack(directory)
            if state is not None and state.processes["splitter"] not in seen:
                break
            await asyncio.sleep(0.02)

    assert state.processes["splitter"] == splitter.pid
    assert splitter.restarts == 3


def kill(process: Supervised) -> None:
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)


async def check_scaling(stack: Stack) -> None:
    for stylizers, last in ((3, "stylizer-3"), (0, "assembler"), (1, "stylizer-1")):
        await stack.scale(stylizers)
        assert [p.name for p in stack.processes][-1] == last


async def test_a_disposable_stack_drains_nothing(tmp_path: Path, services: dict[str, str]) -> None:
    options = StackOptions(
        tmp_path / "stack", environment=services | {"STAY": "1"}, disposable=True
    )
    async with Stack(options) as stack:
        pids = [process.pid for process in stack.processes]
    assert not [pid for pid in pids if pid and psutil.pid_exists(pid)]
    said = [log.read_text() for log in stack.logs.iterdir()]
    assert not [text for text in said if "asked to end" in text]


async def test_a_service_that_cannot_start_is_named_and_all_else_is_stopped(
    tmp_path: Path, services: dict[str, str]
) -> None:
    stack = Stack(StackOptions(tmp_path / "stack", environment={**services, "FAIL": "1"}))

    with pytest.raises(StylestreamError, match=r"ended with code 1 before it was ready(.|\n)*full"):
        await stack.__aenter__()

    assert [process.pid for process in stack.processes] == [None] * len(stack.processes)
    assert running_stack(tmp_path / "stack") is None


def supervisor(directory: Path, services: dict[str, str]) -> subprocess.Popen[bytes]:
    """Run a stack in a process of its own; returns once it is up."""
    script = f"""
        import asyncio, pathlib
        from local.stack import Stack, StackOptions
        async def main():
            options = StackOptions(pathlib.Path({str(directory)!r}), environment={services!r})
            async with Stack(options) as stack:
                print("up", flush=True)
                await asyncio.Event().wait()
        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            print("down", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
async def test_a_killed_supervisor_leaves_no_child_and_no_lock(
    tmp_path: Path, services: dict[str, str]
) -> None:
    directory = tmp_path / "stack"
    running = supervisor(directory, services)
    before = running_stack(directory)
    assert before is not None

    running.kill()
    running.communicate(timeout=PATIENCE_S)

    assert running_stack(directory) is None
    deadline = time.monotonic() + PATIENCE_S
    while any(pid and psutil.pid_exists(pid) for pid in before.processes.values()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert await port_block_of(directory) == before.port_block


async def test_a_stack_is_idle_once_nothing_but_positions_was_stored_for_a_while(
    tmp_path: Path,
) -> None:
    stack, seconds = Stack(StackOptions(tmp_path / "stack")), 0.2
    with stack._writes as writes:
        idle = asyncio.create_task(stack.idle(seconds))
        for _ in range(10):
            os.write(writes.pipe, b"uploads-checkpoints\njobs\n")
            written = time.monotonic()
            await asyncio.sleep(seconds / 5)
            if idle.done():  # on a machine that was busy with other things for as long
                break
        while not idle.done():
            os.write(writes.pipe, b"uploads-checkpoints\n")
            await asyncio.sleep(seconds / 20)
    assert time.monotonic() - written >= seconds
