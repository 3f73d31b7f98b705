"""The whole pipeline on one machine: broker, storage, the three services, and the upload watcher.

Everything lives in one directory (see `local.workspace`): the hubs' log segments, the blobs, and
the processes' logs, and the announcements of ended jobs (``announcements.jsonl``).

Stopping goes against the way of the data: first the watcher, so that nothing new begins, then the
services, which drain while hubs and storage are still there, then Azurite, and the broker last.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Self

from client.local_stack import StackState
from local import azurite
from local.children import cores, inherited, painting_settings, python, unlimited
from local.engines import engine_sentence
from local.eventgrid import LocalTopic, written_to
from local.processes import Command, Supervised
from local.readiness import HttpReady, LineReady, TcpReady
from local.tasks import cancel, cancelled_by_signals, together
from local.watcher import UploadWatcher
from local.workspace import (
    ASSEMBLER_PORT,
    BROKER_PORT,
    FIRST_STYLIZER_PORT,
    OTHER_ASSEMBLERS_PORT,
    OTHER_SPLITTERS_PORT,
    SPLITTER_PORT,
    STORAGE_PORT,
    STUDIO_METRICS_PORT,
    STUDIO_PORT,
    TOPIC_PORT,
    Workspace,
)
from shared.contracts.errors import StylestreamError

CONTAINERS = (
    *("uploads", "results", "frames", "segments", "jobs", "dead-letters"),
    *("uploads-checkpoints", "frames-checkpoints", "segments-checkpoints"),
)

SERVICE_GRACE_S = 10.0
DRAIN_TIMEOUT_S = 8
"""A person waits at the prompt: shorter than in a cluster, and the drain ends before the grace."""

STUDIO_LINGER_S = 300
"""Whoever watches a job being painted sees it to its end, also when painting was faster."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What a stack is made of.

    ``partitions`` is how many the hub of chunks has at least; more stylizers have more.
    ``environment`` is added to the services' environment and wins over everything set here. A
    ``disposable`` stack, whose directory goes with it, is killed where others drain. ``studio``
    adds the page, see `Stack.studio_address`.
    """

    directory: Path
    stylizers: int = 1
    assemblers: int = 1
    splitters: int = 1
    partitions: int = 8
    studio: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    disposable: bool = False


class Stack:
    """Runs the pipeline while its context is open.

    While it is, SIGTERM and SIGHUP (its terminal was closed) cancel the task that opened it, as
    Ctrl-C does under ``asyncio.run``; the same signal again ends the supervisor, and with it all
    children, at once. ``on_waiting`` is called with the names of the processes that a start still
    waits for, whenever they change.

    Raises:
        StylestreamError: on entering, when the directory is in use, a program is not installed,
            or a process does not get ready. Everything that had been started is stopped again.
    """

    def __init__(
        self, options: StackOptions, on_waiting: Callable[[list[str]], None] = lambda _: None
    ) -> None:
        self.options = options
        self._on_waiting = on_waiting
        self._awaited: set[str] = set()
        self._workspace = Workspace(options.directory)
        self.logs = self._workspace.logs
        self.announcements = self._workspace.directory / "announcements.jsonl"
        self.storage_connection_string = ""
        self.eventhub_connection_string = ""
        self.endpoints: dict[str, str] = {}
        self._broker: Supervised | None = None
        self._storage: Supervised | None = None
        self._topic_key = secrets.token_urlsafe(32)
        self.studio_address = ""
        """Where the page is, with the token that opens it; for whoever started the stack."""
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
        if not 0 <= stylizers <= (most := self._workspace.partitions):
            raise ValueError(f"stylizers must be 0 to {most}, not {stylizers}")
        async with self._scaling:
            leaving = self._stylizers[stylizers:]
            coming = [
                self._stylizer(index, stylizers) for index in range(len(self._stylizers), stylizers)
            ]
            await asyncio.gather(*(process.stop() for process in leaving))
            for process in leaving:
                del self.endpoints[process.name]
            self._stylizers = [*self._stylizers[:stylizers], *coming]
            await self._start_all(coming)
            self._write_state("running")

    def engine_sentence(self) -> str:
        """Return what networks run on, where a GPU was considered; else nothing."""
        return engine_sentence(self._stylizers[0].output) if self._stylizers else ""

    async def failed(self) -> StylestreamError:
        """Wait until a process cannot be kept alive, and return the cause."""
        await self._has_failed.wait()
        if self._failure is None:
            raise AssertionError("a failure is noted before it is told")
        return self._failure

    async def _start(self) -> None:
        await self._workspace.claim(max(self.options.stylizers, self.options.partitions))
        self._closing.callback(self._workspace.release)
        self._closing.enter_context(cancelled_by_signals())
        self.storage_connection_string = azurite.connection_string(
            self._workspace.port(STORAGE_PORT)
        )
        self._closing.callback(self._write_state, "stopped")
        await self._start_base()
        await self._open_topic()
        await self._start_services()

    async def _start_base(self) -> None:
        port = self._workspace.port(BROKER_PORT)
        environment = inherited(self._workspace.temporary)
        ready = LineReady("ready ")
        frames = self._workspace.partitions
        hubs = {"uploads": self.options.splitters, "frames": frames, "segments": 2}
        self._broker = self._supervise(
            "eventhubs",
            python(
                "local.eventhubs",
                *("--port", str(port)),
                *("--data", str(self._workspace.directory / "eventhubs")),
                *(word for hub, count in hubs.items() for word in ("--hub", f"{hub}:{count}")),
            ),
            environment,
            ready,
        )
        blobs = self._workspace.directory / "azurite"
        storage_port = self._workspace.port(STORAGE_PORT)
        self._storage = self._supervise(
            "azurite",
            await asyncio.to_thread(azurite.command_line, storage_port, blobs),
            environment | {"NODE_COMPILE_CACHE": str(self._workspace.directory / "azurite-cache")},
            TcpReady(storage_port),
        )
        self._closing.push_async_callback(self._broker.stop)
        self._closing.push_async_callback(self._storage.stop)
        await self._start_all([self._broker, self._storage])
        await azurite.create_containers(self.storage_connection_string, CONTAINERS)
        self.eventhub_connection_string = ready.find(self._broker.output) or ""
        self.endpoints |= {
            "eventhubs": f"sb://localhost:{port}",
            "storage": azurite.endpoint(storage_port),
        }

    async def _open_topic(self) -> None:
        receive = written_to(self.announcements)
        topic = LocalTopic(self._workspace.port(TOPIC_PORT), self._topic_key, receive)
        self.endpoints["announcements"] = (await self._closing.enter_async_context(topic)).endpoint

    async def _start_services(self) -> None:
        count = self.options.stylizers
        self._services = [
            *map(self._splitter, range(self.options.splitters)),
            *map(self._assembler, range(self.options.assemblers)),
        ]
        if self.options.studio:
            await azurite.allow_origin(self.storage_connection_string, self._studio_origin)
            self._services.append(self._studio())
        self._stylizers = [self._stylizer(index, count) for index in range(count)]
        self._closing.push_async_callback(self._stop_services)
        await self._start_all([*self._services, *self._stylizers])
        watcher = UploadWatcher(
            self.storage_connection_string,
            self.eventhub_connection_string,
            bytes_taken=partial(azurite.bytes_taken, self._workspace.directory / "azurite"),
        )
        watching = asyncio.create_task(watcher.run(), name="upload watcher")
        watching.add_done_callback(self._watcher_ended)
        self._closing.push_async_callback(cancel, watching)
        self._write_state("running")

    async def _stop_services(self) -> None:
        await asyncio.gather(*(p.stop() for p in (*self._services, *self._stylizers)))

    def _splitter(self, index: int) -> Supervised:
        return self._service(
            f"splitter-{index + 1}" if index else "splitter",
            "splitter",
            self._workspace.port(OTHER_SPLITTERS_PORT + index - 1 if index else SPLITTER_PORT),
            # The watcher's events name this address, whatever way the splitter takes to it.
            {"UPLOAD_ACCOUNTS": self.endpoints["storage"], **unlimited()},
        )

    def _assembler(self, index: int) -> Supervised:
        return self._service(
            f"assembler-{index + 1}" if index else "assembler",
            "assembler",
            self._workspace.port(OTHER_ASSEMBLERS_PORT + index - 1 if index else ASSEMBLER_PORT),
            {
                "EVENTGRID_TOPIC_ENDPOINT": self.endpoints["announcements"],
                "EVENTGRID_TOPIC_KEY": self._topic_key,
                "SEGMENTS_LINGER_S": str(STUDIO_LINGER_S if self.options.studio else 0),
            },
        )

    def _stylizer(self, index: int, count: int) -> Supervised:
        lanes = max(1, cores() // count)
        return self._service(
            f"stylizer-{index + 1}",
            "stylizer",
            self._workspace.port(FIRST_STYLIZER_PORT + index),
            {"LANES": str(lanes)},
        )

    @property
    def _studio_origin(self) -> str:
        return f"http://127.0.0.1:{self._workspace.port(STUDIO_PORT)}"

    def _studio(self) -> Supervised:
        port, token = self._workspace.port(STUDIO_PORT), self._workspace.secret("studio-token")
        self.studio_address = f"{self._studio_origin}/?token={token}"
        return self._service(
            "web",
            "web",
            self._workspace.port(STUDIO_METRICS_PORT),
            {"WEB_PORT": str(port), "WEB_TOKEN": token, "WEB_DIRECT_UPLOADS": "true"},
        )

    def _service(
        self, name: str, module: str, port: int, settings: Mapping[str, str] | None = None
    ) -> Supervised:
        environment = {
            **inherited(self._workspace.temporary),
            "EVENTHUB_CONNECTION_STRING": self.eventhub_connection_string,
            "STORAGE_CONNECTION_STRING": self.storage_connection_string,
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            "LOG_FORMAT": "json",
            "LOAD_BALANCING_INTERVAL_S": "2",
            "OWNERSHIP_EXPIRY_S": "7",
            "DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
            **painting_settings(),
            **(settings or {}),
            **self.options.environment,
        }
        self.endpoints[name] = f"http://127.0.0.1:{port}"
        ready = HttpReady(f"{self.endpoints[name]}/readyz")
        return self._supervise(name, python(module), environment, ready)

    def _supervise(
        self,
        name: str,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        ready: HttpReady | LineReady | TcpReady,
    ) -> Supervised:
        log = self.logs / f"{name}.log"
        grace_s = 0.0 if self.options.disposable else SERVICE_GRACE_S
        command = Command(name, argv, environment, log, ready, grace_s=grace_s)
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

    async def _start_all(self, processes: list[Supervised]) -> None:
        async def start(process: Supervised) -> None:
            await process.start()
            self._awaited.discard(process.name)
            self._on_waiting(sorted(self._awaited))

        self._awaited |= {process.name for process in processes}
        self._on_waiting(sorted(self._awaited))
        await together(*map(start, processes))

    def _write_state(self, state: Literal["running", "stopped"]) -> None:
        self._workspace.write(
            StackState(
                state=state,
                port_block=self._workspace.port(0),
                partitions=self._workspace.partitions,
                supervisor=os.getpid(),
                storage_connection_string=self.storage_connection_string,
                eventhub_connection_string=self.eventhub_connection_string,
                endpoints=self.endpoints,
                processes={process.name: process.pid for process in self.processes},
            )
        )
