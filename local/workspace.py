"""The directory of a stack: its lock, its ports, and the state file that says how to reach it.

``stack.json`` tells other commands how to reach a running stack, and preserves the ports from start
to start, because a blob's address is part of its job's identity. A lock admits one stack at a time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from client.local_stack import LOCK_FILE, STATE_FILE, StackState, lock, read_state
from shared.contracts.errors import ConfigurationError, StylestreamError

BLOCK = 64
BLOCKS = range(20_032, 32_000, BLOCK)
"""Ports come in blocks from below the ephemeral range (32768 and up on Linux, 49152 on macOS),
where no outgoing connection can occupy a remembered port."""

BROKER_PORT, STORAGE_PORT, SPLITTER_PORT, ASSEMBLER_PORT, TOPIC_PORT = 1, 2, 3, 4, 5
OTHER_ASSEMBLERS_PORT = 6
STUDIO_PORT, STUDIO_METRICS_PORT = 8, 9
FIRST_STYLIZER_PORT = 10
OTHER_SPLITTERS_PORT = 60
"""Places in a block. The supervisor binds the block's first port to mark it as taken."""

TOPIC_PATH = "/api/events"
"""The path of the topic's endpoint."""

FEW_PARTITIONS, MANY_PARTITIONS = 8, 32
"""Partitions of the hub of chunks: a stylizer needs at least one, and idle ones cost requests."""

MOST_STYLIZERS = MANY_PARTITIONS

HANDOVER_S = 2.0
"""How long a start waits for the lock and the ports of a stack that is being stopped."""


def topic_endpoint(port: int) -> str:
    """Return the address of a topic on loopback to publish to."""
    return f"http://127.0.0.1:{port}{TOPIC_PATH}"


class Workspace:
    """One stack's hold on its directory, from `claim` to `release`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.logs = self.directory / "logs"
        self.temporary = self.directory / "tmp"
        self._held = ExitStack()
        self._block = 0
        self.partitions = FEW_PARTITIONS
        """How many partitions the hub of chunks has: those that the directory was made with."""

    async def claim(self, partitions: int = FEW_PARTITIONS) -> None:
        """Make the directory with at least so many ``partitions``, lock it, and take its ports.

        Raises:
            ConfigurationError: the directory cannot be made or written to, or exists with fewer
                partitions.
            StylestreamError: another stack runs in it, or another program has its ports.
        """
        self._make()
        try:
            await _patiently(lambda: lock(self.directory, fcntl.LOCK_EX, self._held), self._in_use)
            self.partitions = self._kept_partitions(partitions)
            await self._claim_ports()
            # A stack that was killed may have left files there.
            await asyncio.to_thread(shutil.rmtree, self.temporary, ignore_errors=True)
            self.temporary.mkdir()
        except BaseException:
            self.release()
            raise

    def _kept_partitions(self, least: int) -> int:
        before = read_state(self.directory)
        if before is None:
            return FEW_PARTITIONS if least <= FEW_PARTITIONS else MANY_PARTITIONS
        if before.partitions < least:
            raise ConfigurationError(
                [
                    f"{self.directory} was made for {before.partitions} stylizers at most, not for "
                    f"{least}: choose another directory with --dir, or fewer stylizers."
                ]
            )
        return before.partitions

    def _make(self) -> None:
        try:
            # It holds videos, which are no business of the machine's other users.
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            (self.directory / LOCK_FILE).touch()
        except OSError as error:
            raise ConfigurationError(
                [f"{self.directory} cannot hold a stack: {error.strerror} ({error.filename})"]
            ) from error

    def release(self) -> None:
        """Release the directory and its ports."""
        self._held.close()

    def port(self, place: int) -> int:
        """Return the port at a place of the directory's block."""
        return self._block + place

    def write(self, state: StackState) -> None:
        """Write the state file for other commands, atomically."""
        path = self.directory / STATE_FILE
        draft = path.with_suffix(".json.new")
        draft.unlink(missing_ok=True)
        # The file holds keys, so it is private before anything is written.
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    def secret(self, name: str) -> str:
        """Return a secret of the directory, which stays the same from start to start."""
        path = self.directory / name
        with contextlib.suppress(FileNotFoundError):
            if kept := path.read_text(encoding="ascii").strip():
                return kept
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), encoding="ascii")
        return path.read_text(encoding="ascii")

    @property
    def storage_key(self) -> str:
        """The key of the stack's storage, in base64.

        Pages of any site can make browsers ask the ports of this machine, and would be let in with
        the key that all emulators have.
        """
        return base64.b64encode(self.secret("storage-key").encode()).decode()

    async def _claim_ports(self) -> None:
        before = read_state(self.directory)
        if before is not None:
            self._block = before.port_block
            await _patiently(lambda: _claim(self._block, self._held), self._ports_taken)
            return
        name = hashlib.sha256(str(self.directory).encode()).digest()
        first = int.from_bytes(name[:4], "big") % len(BLOCKS)
        for block in (*BLOCKS[first:], *BLOCKS[:first]):
            with contextlib.suppress(OSError):
                _claim(block, self._held)
                self._block = block
                return
        raise StylestreamError(f"no ports are free between {BLOCKS.start} and {BLOCKS.stop}.")

    def _in_use(self) -> str:
        state = read_state(self.directory)
        by = "" if state is None else f" (process {state.supervisor})"
        return (
            f"{self.directory} is in use by a running stack{by}: "
            "stop that one, or choose another directory."
        )

    def _ports_taken(self) -> str:
        first, last = self._block, self._block + FIRST_STYLIZER_PORT
        return (
            f"Another program listens on ports {first} to {last}, which {self.directory} "
            "must keep because its blobs' addresses contain them: stop it, or choose "
            "another directory."
        )


def _claim(block: int, held: ExitStack) -> None:
    """Bind a block's first port, and check that the ports of the stack's processes are free."""
    with ExitStack() as kept:
        kept.enter_context(socket.socket()).bind(("127.0.0.1", block))
        for place in (*range(BROKER_PORT, OTHER_ASSEMBLERS_PORT), STUDIO_PORT):
            with socket.socket() as probe:
                # As servers do: connections of the previous stack may still be in TIME_WAIT.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", block + place))
        held.enter_context(kept.pop_all())


async def _patiently(take: Callable[[], None], refusal: Callable[[], str]) -> None:
    deadline = time.monotonic() + HANDOVER_S
    while True:
        try:
            return take()
        except OSError as error:
            if time.monotonic() > deadline:
                raise StylestreamError(refusal()) from error
        await asyncio.sleep(0.05)
