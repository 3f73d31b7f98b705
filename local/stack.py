"""The whole pipeline on one machine: broker, storage, the three services, and the upload watcher.

Everything lives in one directory (see `local.workspace`): the hubs' log segments, the blobs, and
the processes' logs, and the announcements of ended jobs (``announcements.jsonl``).

Stopping goes against the way of the data: first the watcher, so that nothing new begins, then the
services, which drain while hubs and storage are still there, then Azurite, and the broker last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import sysconfig
import threading
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob.aio import BlobServiceClient

from client.local_stack import StackState
from local import azurite
from local.eventgrid import LocalTopic, written_to
from local.processes import Command, HttpReady, LineReady, Supervised, TcpReady
from local.watcher import UploadWatcher
from local.workspace import (
    ASSEMBLER_PORT,
    BROKER_PORT,
    FIRST_STYLIZER_PORT,
    MOST_STYLIZERS,
    OTHER_ASSEMBLERS_PORT,
    SPLITTER_PORT,
    STORAGE_PORT,
    TOPIC_PORT,
    Workspace,
)
from shared.contracts.errors import StylestreamError

CONTAINERS = ("uploads", "results", "frames", "segments", "jobs", "checkpoints", "dead-letters")

PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SSL_CERT_FILE"),
)
"""What of the supervisor's environment its children see: the machine's ways, no settings.

``STYLES_DIR`` is the exception: what the command line accepts as a style, the services must know.
"""

SERVICE_GRACE_S = 10.0
DRAIN_TIMEOUT_S = 8
"""A person waits at the prompt: shorter than in a cluster, and the drain ends before the grace."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What a stack is made of.

    ``environment`` is added to the services' environment and wins over everything set here.
    """

    directory: Path
    stylizers: int = 1
    assemblers: int = 1
    partitions: int = 8
    environment: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """Runs the pipeline while its context is open.

    While it is, SIGTERM cancels the task that opened it, as Ctrl-C does under ``asyncio.run``; a
    second SIGTERM ends the supervisor, and with it all children, at once.

    Raises:
        StylestreamError: on entering, when the directory is in use, a program is not installed,
            or a process does not get ready. Everything that had been started is stopped again.
    """

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self._workspace = Workspace(options.directory)
        self.logs = self._workspace.logs
        self.announcements = self._workspace.directory / "announcements.jsonl"
        self.storage_connection_string = ""
        self.eventhub_connection_string = ""
        self.endpoints: dict[str, str] = {}
        self._broker: Supervised | None = None
        self._storage: Supervised | None = None
        self._topic_key = secrets.token_urlsafe(32)
        self._services: list[Supervised] = []
        self._stylizers: list[Supervised] = []
        self._scaling = asyncio.Lock()
        self._failure: StylestreamError | None = None
        self._has_failed = asyncio.Event()
        self._closing = AsyncExitStack()

    @property
    def processes(self) -> list[Supervised]:
        """Every process of the stack, in the order of their start."""
        base = [process for process in (self._broker, self._storage) if process is not None]
        return [*base, *self._services, *self._stylizers]

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._closing.aclose()

    async def scale(self, stylizers: int) -> None:
        """Run this many stylizers: the latest drain and go, or more come and get ready.

        Those that stay keep the number of lanes that they were started with.
        """
        if not 0 <= stylizers <= MOST_STYLIZERS:
            raise ValueError(f"stylizers must be 0 to {MOST_STYLIZERS}, not {stylizers}")
        async with self._scaling:
            leaving = self._stylizers[stylizers:]
            coming = [
                self._stylizer(index, stylizers) for index in range(len(self._stylizers), stylizers)
            ]
            await asyncio.gather(*(process.stop() for process in leaving))
            for process in leaving:
                del self.endpoints[process.name]
            self._stylizers = [*self._stylizers[:stylizers], *coming]
            await _together(*(process.start() for process in coming))
            self._write_state("running")

    async def failed(self) -> StylestreamError:
        """Wait until a process cannot be kept alive, and return the cause."""
        await self._has_failed.wait()
        if self._failure is None:
            raise AssertionError("a failure is noted before it is told")
        return self._failure

    async def _start(self) -> None:
        await self._workspace.claim()
        self._closing.callback(self._workspace.release)
        self._end_on_sigterm()
        self.storage_connection_string = azurite.connection_string(self._port(STORAGE_PORT))
        self._closing.callback(self._write_state, "stopped")
        await self._start_base()
        await self._open_topic()
        await self._start_services()

    async def _start_base(self) -> None:
        port, environment = self._port(BROKER_PORT), _inherited()
        ready = LineReady("ready ")
        hubs = {"uploads": 1, "frames": self.options.partitions, "segments": 2}
        self._broker = self._supervise(
            "eventhubs",
            _python(
                "local.eventhubs",
                *("--port", str(port)),
                *("--data", str(self._workspace.directory / "eventhubs")),
                *(word for hub, count in hubs.items() for word in ("--hub", f"{hub}:{count}")),
            ),
            environment,
            ready,
        )
        blobs = self._workspace.directory / "azurite"
        storage_port = self._port(STORAGE_PORT)
        self._storage = self._supervise(
            "azurite",
            await asyncio.to_thread(azurite.command_line, storage_port, blobs),
            environment | {"NODE_COMPILE_CACHE": str(self._workspace.directory / "azurite-cache")},
            TcpReady(storage_port),
        )
        self._closing.push_async_callback(self._broker.stop)
        self._closing.push_async_callback(self._storage.stop)
        await _together(self._broker.start(), self._start_storage(self._storage))
        self.eventhub_connection_string = ready.find(self._broker.output) or ""
        self.endpoints |= {
            "eventhubs": f"sb://localhost:{port}",
            "storage": azurite.endpoint(storage_port),
        }

    async def _start_storage(self, storage: Supervised) -> None:
        await storage.start()
        async with BlobServiceClient.from_connection_string(
            self.storage_connection_string
        ) as client:
            for container in CONTAINERS:
                with contextlib.suppress(ResourceExistsError):
                    await client.create_container(container)

    async def _open_topic(self) -> None:
        receive = written_to(self.announcements)
        topic = LocalTopic(self._port(TOPIC_PORT), self._topic_key, receive)
        self.endpoints["announcements"] = (await self._closing.enter_async_context(topic)).endpoint

    async def _start_services(self) -> None:
        count = self.options.stylizers
        self._services = [
            self._service(
                "splitter",
                "splitter",
                self._port(SPLITTER_PORT),
                # The watcher's events name this address, whatever way the splitter takes to it.
                {"UPLOAD_ACCOUNTS": self.endpoints["storage"]},
            ),
            *map(self._assembler, range(self.options.assemblers)),
        ]
        self._stylizers = [self._stylizer(index, count) for index in range(count)]
        self._closing.push_async_callback(self._stop_services)
        await _together(*(p.start() for p in (*self._services, *self._stylizers)))
        watcher = UploadWatcher(self.storage_connection_string, self.eventhub_connection_string)
        watching = asyncio.create_task(watcher.run(), name="upload watcher")
        watching.add_done_callback(self._watcher_ended)
        self._closing.push_async_callback(_cancel, watching)
        self._write_state("running")

    async def _stop_services(self) -> None:
        await asyncio.gather(*(p.stop() for p in (*self._services, *self._stylizers)))

    def _assembler(self, index: int) -> Supervised:
        return self._service(
            f"assembler-{index + 1}" if index else "assembler",
            "assembler",
            self._port(OTHER_ASSEMBLERS_PORT + index - 1 if index else ASSEMBLER_PORT),
            {
                "EVENTGRID_TOPIC_ENDPOINT": self.endpoints["announcements"],
                "EVENTGRID_TOPIC_KEY": self._topic_key,
            },
        )

    def _stylizer(self, index: int, count: int) -> Supervised:
        lanes = max(1, _cores() // count)
        return self._service(
            f"stylizer-{index + 1}",
            "stylizer",
            self._port(FIRST_STYLIZER_PORT + index),
            {"LANES": str(lanes)},
        )

    def _service(
        self, name: str, module: str, port: int, settings: Mapping[str, str] | None = None
    ) -> Supervised:
        environment = {
            **_inherited(),
            "EVENTHUB_CONNECTION_STRING": self.eventhub_connection_string,
            "STORAGE_CONNECTION_STRING": self.storage_connection_string,
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            "LOG_FORMAT": "json",
            "LOAD_BALANCING_INTERVAL_S": "2",
            "OWNERSHIP_EXPIRY_S": "7",
            "DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
            **_styles_dir(),
            **(settings or {}),
            **self.options.environment,
        }
        self.endpoints[name] = f"http://127.0.0.1:{port}"
        ready = HttpReady(f"{self.endpoints[name]}/readyz")
        return self._supervise(name, _python(module), environment, ready)

    def _supervise(
        self,
        name: str,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        ready: HttpReady | LineReady | TcpReady,
    ) -> Supervised:
        log = self.logs / f"{name}.log"
        command = Command(name, argv, environment, log, ready, grace_s=SERVICE_GRACE_S)
        return Supervised(command, self._changed)

    def _changed(self) -> None:
        for process in self.processes:
            if process.failure is not None:
                self._fail(process.failure)
        self._write_state("running")

    def _fail(self, cause: StylestreamError) -> None:
        self._failure = self._failure or cause
        self._has_failed.set()

    def _watcher_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._fail(StylestreamError(f"the upload watcher ended: {error!r}"))

    def _end_on_sigterm(self) -> None:
        opener, loop = asyncio.current_task(), asyncio.get_running_loop()
        if opener is None or threading.current_thread() is not threading.main_thread():
            return

        def end() -> None:
            loop.remove_signal_handler(signal.SIGTERM)
            opener.cancel()

        loop.add_signal_handler(signal.SIGTERM, end)
        self._closing.callback(loop.remove_signal_handler, signal.SIGTERM)

    def _port(self, place: int) -> int:
        return self._workspace.port(place)

    def _write_state(self, state: Literal["running", "stopped"]) -> None:
        self._workspace.write(
            StackState(
                state=state,
                port_block=self._workspace.port(0),
                supervisor=os.getpid(),
                storage_connection_string=self.storage_connection_string,
                eventhub_connection_string=self.eventhub_connection_string,
                endpoints=self.endpoints,
                processes={process.name: process.pid for process in self.processes},
            )
        )


async def _together(*starts: Awaitable[None]) -> None:
    """Await all; the first failure cancels the others and is raised alone."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    # -P: whatever lies in the working directory is no module of ours.
    return (sys.executable, "-P", "-m", module, *arguments)


def _inherited() -> dict[str, str]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["PYTHONUNBUFFERED"] = "1"
    root = str(Path(__file__).resolve().parents[1])
    # A checkout need not be installed: the children find the packages where we found them.
    own = [] if root == sysconfig.get_path("purelib") else [root]
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(own + [str(Path(p).absolute()) for p in given if p])
    return environment


def _styles_dir() -> dict[str, str]:
    folder = os.environ.get("STYLES_DIR")
    return {"STYLES_DIR": str(Path(folder).absolute())} if folder else {}


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
