"""One child process of the stack: started, checked for readiness, restarted, and never orphaned.

A child gets its own session, so that the terminal's Ctrl-C reaches only the supervisor, which then
stops the children in its own order. It writes into a log file rather than a pipe, so that it does
not depend on a reader, and its last lines can be shown when it cannot start.

**No orphans.** A SIGKILL leaves the supervisor no time to stop anything, so the kernel does it:
each child sets ``PR_SET_PDEATHSIG`` between fork and exec and is killed when the thread that forked
it dies, which is the event loop's and lives as long as there is anything to supervise. Unlike a
pipe that children watch, this needs no cooperation from the child (Node would not give any), and
unlike a guardian process it has no gap between fork and registration. It exists only on Linux;
elsewhere children are stopped only by an orderly exit. Services are forks of a child that does the
same for them (`local.loader`). The processes that a child starts share its process group, which is
killed whenever the child has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import psutil

from local.readiness import Readiness
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.forks.endings import signal_name
from shared.forks.orphans import end_with_parent

PROBE_INTERVAL_S = 0.05
"""Between two checks for readiness: short compared with the second that a start takes."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
"""Restarts wait 0.2, 0.4, ... 5 s, so that a crash loop does not use up a shared machine."""

STABLE_S = 30.0
"""A child that has been ready for this long starts again with the shortest pause."""

RESTARTS_IN_A_ROW = 8
"""After so many (about 20 s) the child is given up: waiting longer would only look like a hang."""

LOG_TAIL_LINES = 15
_MISCONFIGURED = 2
"""The exit code of services that refuse their settings."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and what to expect of it. ``environment`` is the child's whole environment.

    ``grace_s`` is how long it may take to end after SIGTERM before it is killed; with 0 it is
    killed at once, because nothing that it holds is needed. The child inherits the file descriptors
    ``pass_fds``.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready: Readiness
    start_timeout_s: float = 60.0
    grace_s: float = 10.0
    pass_fds: tuple[int, ...] = ()


class Child(Protocol):
    """A process that was started: an `asyncio.subprocess.Process`, or something equivalent."""

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group's."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    async def wait(self) -> int:
        """Return `returncode` once it has ended."""

    def terminate(self) -> None:
        """Send SIGTERM."""


Launch = Callable[[Command, BinaryIO], Awaitable[Child]]
"""Starts a command that writes into an open log."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a child and its descendants have used since the child's last start.

    ``cpu_s`` includes descendants that have ended and been waited for; ``peak_rss_bytes`` is the
    sum of the running processes' own peaks, and so an upper bound of the peak of their sum.
    """

    cpu_s: float
    peak_rss_bytes: int


class Supervised:
    """Keeps one command running from ``start`` to ``stop``.

    ``on_change``, which must not raise, is called after every restart and when the child is given
    up; ``failure`` then holds the cause. ``launch`` starts the command instead of `execute`.
    """

    def __init__(
        self,
        command: Command,
        on_change: Callable[[], None] = lambda: None,
        launch: Launch | None = None,
    ) -> None:
        self.command = command
        self.grace_s = command.grace_s
        """As in `Command`; decides at the stop."""
        self._start_child = launch or execute
        self.restarts = 0
        self.failure: StylestreamError | None = None
        self._on_change = on_change
        self._process: Child | None = None
        self._group: int | None = None
        """The child's process group, until it is killed: then others may get its number."""
        self._keeper: asyncio.Task[None] | None = None
        self._log_start = 0
        self._ready_at: float | None = None

    @property
    def name(self) -> str:
        """The command's name."""
        return self.command.name

    @property
    def pid(self) -> int | None:
        """The running child's process id, which is also its process group's; None without one."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    @property
    def output(self) -> str:
        """What the child has written since its last start; empty if that cannot be read now."""
        try:
            with self.command.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace")
        except OSError:  # not there yet, or no more files can be opened
            return ""

    async def start(self) -> None:
        """Start the child and return when it is ready; from then on it is restarted if it dies.

        The log of the previous run is kept beside the new one with the suffix ``.1``.

        Raises:
            StylestreamError: it ended, or was not ready in time; the message quotes its log.
        """
        log = self.command.log
        with contextlib.suppress(FileNotFoundError):
            log.replace(log.with_name(log.name + ".1"))
        process = await self._launch()
        self._keeper = asyncio.create_task(
            self._keep_alive(process), name=f"keep {self.name} alive"
        )

    async def stop(self) -> None:
        """End the child: SIGTERM, the grace time, SIGKILL. Safe to call twice or before a start.

        Cancelling a stop ends the grace time.
        """
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        process = self._process
        if process is None:
            return
        try:
            if process.returncode is None and self.grace_s > 0:
                process.terminate()
                async with asyncio.timeout(self.grace_s):
                    await process.wait()
        except TimeoutError:
            _log.warning("%s did not stop in %g s: killed", self.name, self.grace_s)
        finally:
            self._sweep()
        await process.wait()

    def usage(self) -> Usage | None:
        """Measure the child and its descendants; None while it is not running."""
        if self.pid is None:
            return None
        cpu_s, peak = 0.0, 0
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    cpu_s += times.user + times.system
                    cpu_s += times.children_user + times.children_system
                    peak += _peak_rss_bytes(process)
        return Usage(cpu_s, peak)

    async def _keep_alive(self, process: Child) -> None:
        running: Child | None = process
        failures = 0
        while failures < RESTARTS_IN_A_ROW:
            if running is not None:
                code = await running.wait()
                self._sweep()
                _log.warning("%s %s; restarting", self.name, _ending(code))
            now = asyncio.get_running_loop().time()
            lived_s = 0.0 if self._ready_at is None else now - self._ready_at
            self._ready_at = None
            failures = 1 if lived_s >= STABLE_S else failures + 1
            await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1)))
            self.restarts += 1
            try:
                running = await self._launch()
            except StylestreamError as error:
                running = None
                _log.warning("%s", error)
            self._on_change()
        self.failure = StylestreamError(
            f"{self.name} ended {failures} times in a row and is given up{self._quoted_log()}"
        )
        self._on_change()

    async def _launch(self) -> Child:
        command = self.command
        try:
            with command.log.open("ab") as log:
                self._log_start = log.tell()
                process = await self._start_child(command, log)
        except (OSError, ValueError) as error:
            raise StylestreamError(f"{command.name} cannot be started: {error}") from error
        self._process, self._group = process, process.pid
        try:
            await self._until_ready(process)
        except BaseException:
            self._sweep()
            await process.wait()
            raise
        self._ready_at = asyncio.get_running_loop().time()
        return process

    async def _until_ready(self, process: Child) -> None:
        ended = asyncio.create_task(process.wait())
        ready = asyncio.create_task(self._probe())
        try:
            await asyncio.wait(
                {ended, ready},
                timeout=self.command.start_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ended.done():
                raise self._early_end(ended.result())
            if not ready.done():
                raise StylestreamError(
                    f"{self.name} was not ready after {self.command.start_timeout_s:g} s"
                    f"{self._quoted_log()}"
                )
            ready.result()
        finally:
            ended.cancel()
            ready.cancel()

    async def _probe(self) -> None:
        while not await self.command.ready.reached(self.output):  # noqa: ASYNC110 - it is a process that we wait for
            await asyncio.sleep(PROBE_INTERVAL_S)

    def _sweep(self) -> None:
        """Kill what is left of the child's process group."""
        group, self._group = self._group, None
        if group is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def _early_end(self, code: int) -> StylestreamError:
        if code == _MISCONFIGURED and (problems := self._problems()):
            return ConfigurationError(problems)
        return StylestreamError(
            f"{self.name} {_ending(code)} before it was ready{self._quoted_log()}"
        )

    def _problems(self) -> list[str]:
        """Return what a service says of its settings; see `shared.service.settings.refusing`."""
        prefix = f"{self.name.partition('-')[0]}: "
        lines = self.output.splitlines()
        return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]

    def _quoted_log(self) -> str:
        lines = self.output.rstrip().splitlines()[-LOG_TAIL_LINES:]
        if not lines:
            return f"; it wrote nothing to {self.command.log}"
        return "\n  ".join([f"; the end of {self.command.log}:", *lines])


async def execute(command: Command, log: BinaryIO) -> Child:
    """Start a command's program.

    Raises:
        OSError, ValueError: there is no such program, or its arguments or environment are invalid.
    """
    return await asyncio.create_subprocess_exec(
        *command.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=dict(command.environment),
        cwd=command.log.parent,
        start_new_session=True,
        pass_fds=command.pass_fds,
        preexec_fn=partial(end_with_parent, os.getpid()) if sys.platform == "linux" else None,
    )


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal_name(-code)}"
    return f"ended with code {code}"


def _peak_rss_bytes(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:
        return int(process.memory_info().rss)
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
