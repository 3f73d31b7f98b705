"""The broker on a TCP port of this machine."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Self

from local.eventhubs.access import DEFAULT_KEY, DEFAULT_POLICY, connection_string
from local.eventhubs.amqp.connection import Connection
from local.eventhubs.authorization import Policy
from local.eventhubs.broker import Broker, DataDirectory
from local.eventhubs.client import Client
from local.eventhubs.config import check_hubs
from local.eventhubs.errors import ConfigurationError
from local.eventhubs.hub import HubSpec
from local.eventhubs.limits import Limits
from local.eventhubs.log.partition import Retention

_LOGGER: Final = logging.getLogger(__name__)
# Partitions sync their files in parallel; more threads than this gain nothing on a disk.
_WRITERS: Final = 4
_BACKLOG: Final = 512
# Files that are open briefly (segments being read or begun), and those of the interpreter.
_OTHER_FILES: Final = 48
_RETENTION_INTERVAL_S: Final = 60.0
# A live client answers a close at once; one that hangs is not waited for.
_STOP_S: Final = 0.5


class EventHubs:
    """An Event Hubs namespace that runs in this process.

    ::

        async with EventHubs(directory, hubs={"frames": 8}) as hubs:
            EventHubProducerClient.from_connection_string(
                hubs.connection_string, eventhub_name="frames"
            )

    Everything acknowledged is on disk; a second start with the same directory continues
    its hubs. Invalid arguments raise ``ConfigurationError``, which names all problems.
    """

    def __init__(  # noqa: PLR0913 - all but two are options by keyword
        self,
        data_dir: str | Path,
        hubs: Mapping[str, int] | Iterable[HubSpec] = (),
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        policy: str = DEFAULT_POLICY,
        key: str = DEFAULT_KEY,
        retention: Retention | None = None,
        limits: Limits | None = None,
    ) -> None:
        specs = (
            [HubSpec(name, count) for name, count in hubs.items()]
            if isinstance(hubs, Mapping)
            else list(hubs)
        )
        problems = check_hubs(specs)
        if problems:
            raise ConfigurationError(*problems)
        self._data_dir = Path(data_dir)
        self._specs = specs
        self._host = host
        self._port = port
        self._policy = Policy(policy, key)
        self._retention = retention or Retention()
        self._limits = limits or Limits()
        self._container_id = f"{uuid.uuid4().hex}_G0"
        self._max_connections = 0
        self._connections: set[Connection] = set()
        self._no_connections = asyncio.Event()
        self._no_connections.set()
        self._directory: DataDirectory | None = None
        self._broker: Broker | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        return self._port

    @property
    def connection_string(self) -> str:
        """The clients' connection string; its development flag makes them do without TLS."""
        host = "localhost" if self._host in ("127.0.0.1", "0.0.0.0") else self._host  # noqa: S104
        return connection_string(host, self._port, self._policy.name, self._policy.key)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the data directory and listen; failing at either raises ``ConfigurationError``."""
        self._directory = DataDirectory(self._data_dir)
        self._pool = ThreadPoolExecutor(_WRITERS, thread_name_prefix="eventhubs-writer")
        try:
            self._broker = Broker(
                self._directory,
                self._specs,
                policy=self._policy,
                retention=self._retention,
                limits=self._limits,
                pool=self._pool,
            )
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._enforce_retention()

    async def stop(self) -> None:
        """Close connections, finish pending writes, and release the data directory."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.close()
            try:
                await asyncio.wait_for(self._no_connections.wait(), _STOP_S)
            except TimeoutError:
                _LOGGER.info("%d clients did not close in time", len(self._connections))
            for connection in list(self._connections):
                connection.abort()
            self._server = None
        if self._broker is not None:
            await self._broker.close()
            self._broker = None
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    async def _listen(self) -> None:
        at_once = self._share_descriptors()
        listener = socket.socket(socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            self._server = await asyncio.get_running_loop().create_server(
                self._accept, sock=listener, backlog=at_once
            )
            # asyncio uses the backlog also for how many it accepts in one go; more may wait.
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            message = f"Cannot listen on {self._host}:{self._port}: {error.strerror}."
            raise ConfigurationError(message) from error
        self._port = listener.getsockname()[1]

    def _share_descriptors(self) -> int:
        """Reserve enough files for the events; return how many clients to accept in one go.

        All of those hold a file before the first of them can be refused.
        """
        assert self._broker is not None
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        at_once = min(_BACKLOG, files // 8)
        left = files - at_once - len(self._broker.partitions) - _OTHER_FILES
        if left < 1:
            message = (
                f"The process may open {files} files, too few for "
                f"{len(self._broker.partitions)} partitions and clients: raise ulimit -n."
            )
            raise ConfigurationError(message)
        self._max_connections = min(self._limits.max_connections, left)
        return at_once

    def _accept(self) -> asyncio.Protocol:
        if self._broker is None or len(self._connections) >= self._max_connections:
            if self._broker is not None:
                self._broker.notices.warn(
                    "refused connections",
                    f"a connection is refused: {len(self._connections)} are open, which is as many "
                    f"as the process has files for, or as max_connections allows",
                )
            return _Refusal()
        connection = Connection(
            partial(Client, self._broker),
            container_id=self._container_id,
            limits=self._limits,
            check_plain=self._policy.matches,
            on_closed=self._closed,
        )
        self._connections.add(connection)
        self._no_connections.clear()
        return connection

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._no_connections.set()

    def _enforce_retention(self) -> None:
        if self._broker is not None:
            self._broker.enforce_retention()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_RETENTION_INTERVAL_S, self._enforce_retention)


class _Refusal(asyncio.Protocol):
    """Closes a connection that exceeds the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
