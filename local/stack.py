"""The whole pipeline on one machine: broker, storage, the three services, and the upload watcher.

Everything is kept in one directory (see `local.workspace`): the hubs' log segments, the blobs, the
processes' logs, and the announcements of ended jobs (``announcements.jsonl``).

Processes are stopped against the flow of data: first the watcher, so that nothing new begins, then
the services, which drain while hubs and storage are still there, then Azurite, and the broker last.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal, Self

from client.local_stack import StackState
from local import azurite
from local.children import inherited, painting_settings, python
from local.engines import engine_sentence, find_painting_problems
from local.eventhubs.access import connection_string
from local.gate import Gate
from local.loader import Loader
from local.processes import Command, Supervised
from local.readiness import LineReady, TcpReady
from local.services import Services
from local.tasks import cancel, cancelled_by_signals, together
from local.workspace import BROKER_PORT, STORAGE_PORT, TOPIC_PORT, Workspace, topic_endpoint
from local.write_reports import WriteReports
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.tasks.waits import is_set_within

UPLOADS = "uploads"
POSITIONS = ("uploads-checkpoints", "frames-checkpoints", "segments-checkpoints")
"""Where services say who owns which partition: they write there even if there is nothing to do."""
CONTAINERS = (UPLOADS, "results", "frames", "segments", "jobs", "dead-letters", *POSITIONS)

_SDK_USERS = ("local.account", "local.eventgrid", "local.watcher")
"""Our modules that use Azure's SDKs. Loading those takes as long as a process takes to get ready,
so it is done once all processes have been started."""

SERVICE_GRACE_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What a stack consists of.

    ``partitions`` is the least number of partitions of the hub of chunks; more stylizers get more.
    ``environment`` is added to the services' environment and overrides everything set here. A
    ``disposable`` stack, whose directory is deleted with it, is killed instead of drained.
    ``studio`` adds the studio, see `Stack.studio_address`.
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

    Meanwhile, SIGTERM and SIGHUP (its terminal was closed) cancel the task that opened it, as
    Ctrl-C does under ``asyncio.run``; the same signal again ends the supervisor at once, and all
    children with it. ``on_waiting`` is called with the names of the processes that a start still
    waits for, whenever they change.

    Raises:
        ConfigurationError: on entering, if a setting for painting is wrong.
        StylestreamError: on entering, if the directory is in use, a program is not installed, or a
            process does not get ready. Everything that was started has been stopped again.
    """

    def __init__(
        self, options: StackOptions, on_waiting: Callable[[list[str]], None] = lambda _: None
    ) -> None:
        self.options = options
        self.disposable = options.disposable
        self._on_waiting = on_waiting
        self._awaited: set[str] = set()
        self._workspace = Workspace(options.directory)
        self.logs = self._workspace.logs
        self.announcements = self._workspace.directory / "announcements.jsonl"
        self.storage_connection_string = ""
        self.eventhub_connection_string = ""
        self.endpoints: dict[str, str] = {}
        self._make: Services
        self._loader = Loader(inherited(self._workspace.temporary), self.logs / "loader.log")
        self._grace_s = 0.0 if options.disposable else SERVICE_GRACE_S
        self._broker: Supervised | None = None
        self._storage: Supervised | None = None
        self._writes = WriteReports()
        self._topic_key = secrets.token_urlsafe(32)
        self.studio_address = ""
        """The studio's address, including the token that opens it; a secret."""
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

    def keep(self) -> None:
        """Keep a disposable stack's directory useful: let its processes write all they hold."""
        self.disposable = False
        for process in self.processes:
            process.grace_s = SERVICE_GRACE_S

    async def scale(self, stylizers: int) -> None:
        """Run this many stylizers: drain the latest, or start more and wait until they are ready.

        Those that stay keep the number of lanes that they were started with.
        """
        if not 0 <= stylizers <= (most := self._workspace.partitions):
            raise ValueError(f"stylizers must be 0 to {most}, not {stylizers}")
        async with self._scaling:
            leaving = self._stylizers[stylizers:]
            coming = [
                self._supervise_service(self._make.stylizer(index, stylizers))
                for index in range(len(self._stylizers), stylizers)
            ]
            await asyncio.gather(*(process.stop() for process in leaving))
            for process in leaving:
                del self.endpoints[process.name]
            self._stylizers = [*self._stylizers[:stylizers], *coming]
            await self._start_all(coming)
            self._write_state("running")

    def engine_sentence(self) -> str:
        """Return a sentence about the engine, if a GPU was considered; else an empty string."""
        return engine_sentence(self._stylizers[0].output) if self._stylizers else ""

    async def failed(self) -> StylestreamError:
        """Wait until a process cannot be kept alive, and return the cause."""
        await self._has_failed.wait()
        if self._failure is None:
            raise AssertionError("a failure is noted before it is told")
        return self._failure

    async def idle(self, seconds: float) -> None:
        """Return when nothing has been stored for ``seconds``: no upload, no open job."""
        stored = self._writes.written(lambda container: container not in POSITIONS)
        while await is_set_within(stored, seconds):
            stored.clear()

    async def _start(self) -> None:
        if problems := find_painting_problems({**painting_settings(), **self.options.environment}):
            raise ConfigurationError(problems)
        await self._workspace.claim(max(self.options.stylizers, self.options.partitions))
        self._closing.callback(self._workspace.release)
        self._closing.enter_context(cancelled_by_signals())
        self.storage_connection_string = azurite.connection_string(
            self._workspace.port(STORAGE_PORT), self._workspace.storage_key
        )
        self.eventhub_connection_string = connection_string(
            "127.0.0.1", self._workspace.port(BROKER_PORT)
        )
        self.endpoints |= {
            "eventhubs": f"sb://127.0.0.1:{self._workspace.port(BROKER_PORT)}",
            "storage": azurite.endpoint(self._workspace.port(STORAGE_PORT)),
            "announcements": topic_endpoint(self._workspace.port(TOPIC_PORT)),
        }
        # The state file of a supervisor that was killed still says that the stack runs.
        self._write_state("stopped")
        self._closing.callback(self._write_state, "stopped")
        gate = Gate(self._workspace.directory)
        self._closing.callback(gate.open)
        topic = await self._closing.enter_async_context(AsyncExitStack())
        await self._closing.enter_async_context(self._loader)
        self._make = Services(
            self._workspace,
            gate,
            self.endpoints,
            {
                "EVENTHUB_CONNECTION_STRING": self.eventhub_connection_string,
                "STORAGE_CONNECTION_STRING": self.storage_connection_string,
            },
            self._topic_key,
            self.options.environment,
            self.options.studio,
            self._grace_s,
        )
        self._closing.enter_context(self._writes)
        self._closing.push_async_callback(self._stop_base)
        services = self._make_services()
        await together(self._start_base(gate), self._start_all(services), self._open_topic(topic))
        self._write_state("running")

    async def _make_base(self) -> list[Supervised]:
        environment = inherited(self._workspace.temporary)
        frames = self._workspace.partitions
        hubs = {"uploads": self.options.splitters, "frames": frames, "segments": 2}
        broker = python(
            "local.eventhubs",
            *("--port", str(self._workspace.port(BROKER_PORT))),
            *("--data", str(self._workspace.directory / "eventhubs")),
            *(word for hub, count in hubs.items() for word in ("--hub", f"{hub}:{count}")),
        )
        blobs, port = self._workspace.directory / "azurite", self._workspace.port(STORAGE_PORT)
        storage = await asyncio.to_thread(azurite.command_line, port, blobs)
        pipe = self._writes.pipe
        own = azurite.environment(self._workspace.storage_key, pipe)
        self._broker, self._storage = (
            self._supervise(
                Command(
                    *(name, argv, env, self.logs / f"{name}.log", ready),
                    grace_s=self._grace_s,
                    pass_fds=passed,
                )
            )
            for name, argv, env, ready, passed in (
                ("eventhubs", broker, environment, LineReady("ready "), ()),
                ("azurite", storage, environment | own, TcpReady(port), (pipe,)),
            )
        )
        return [self._broker, self._storage]

    async def _start_base(self, gate: Gate) -> None:
        """Start what the services need, then open the gate for them."""
        await self._start_all(await self._make_base())
        from local import account

        await account.create_containers(self.storage_connection_string, CONTAINERS)
        if self.options.studio:
            await account.allow_origin(self.storage_connection_string, self._make.studio_origin)
        gate.open()
        # Connecting to the hub takes a moment; by then the services are ready, too.
        self._start_watcher()

    async def _open_topic(self, closing: AsyncExitStack) -> None:
        for module in _SDK_USERS:
            await asyncio.to_thread(import_module, module)
        from local.eventgrid import LocalTopic, written_to

        receive = written_to(self.announcements)
        topic = LocalTopic(self._workspace.port(TOPIC_PORT), self._topic_key, receive)
        await closing.enter_async_context(topic)

    def _make_services(self) -> list[Supervised]:
        count, make = self.options.stylizers, self._make
        commands = [
            *map(make.splitter, range(self.options.splitters)),
            *map(make.assembler, range(self.options.assemblers)),
        ]
        if self.options.studio:
            self.studio_address = make.studio_address
            commands.append(make.web())
        self._services = [self._supervise_service(command) for command in commands]
        self._stylizers = [self._supervise_service(make.stylizer(i, count)) for i in range(count)]
        self._closing.push_async_callback(self._stop_services)
        return [*self._services, *self._stylizers]

    def _start_watcher(self) -> None:
        from local.watcher import UploadWatcher

        watcher = UploadWatcher(
            self.storage_connection_string,
            self.eventhub_connection_string,
            uploaded=self._writes.written(lambda container: container == UPLOADS),
        )
        watching = asyncio.create_task(watcher.run(), name="upload watcher")
        watching.add_done_callback(self._watcher_ended)
        self._closing.push_async_callback(cancel, watching)

    async def _stop_base(self) -> None:
        for process in (self._storage, self._broker):
            if process is not None:
                await process.stop()

    async def _stop_services(self) -> None:
        await asyncio.gather(*(p.stop() for p in (*self._services, *self._stylizers)))

    def _supervise(self, command: Command) -> Supervised:
        return Supervised(command, self._changed)

    def _supervise_service(self, command: Command) -> Supervised:
        return Supervised(command, self._changed, self._loader.launch)

    def _changed(self) -> None:
        for process in self.processes:
            if process.failure is not None:
                self._fail(process.failure)
        try:
            self._write_state("running")
        except OSError as error:  # such as a full disk: the child is still looked after
            _log.warning("the state file is out of date: %s", error)

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
                studio_address=self.studio_address,
            )
        )
