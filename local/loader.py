"""A process that has loaded what the services need, and the services as forks of it.

Loading a service on its own takes most of a second of CPU time, mostly for the same packages. So
one process loads them, and a service is a fork of it that goes on as ``python -m`` would: with its
own environment, folder, log, session and name. A service gets a process of its own if its
environment has to differ before Python starts, such as a variable for the dynamic linker, if the
system is not Linux, or if the loader cannot start.

The loader holds no secrets and has one thread. It stays, because services are restarted as forks,
too, and they share the memory of what it has loaded. When the loader is killed, so are they, and
the supervisor starts both again.

    python -m local.loader MODULE ...
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Final, Self

from local.children import python
from local.processes import Child, Command, execute
from shared.forks.client import ForkServer, Leash
from shared.forks.server import wait_for_work
from shared.service.loading import loading

LOADED: Final = ("splitter.service", "assembler.service")
"""What is preloaded: everything that services share. ONNX Runtime starts a thread when it is
loaded, and threads do not survive a fork, so a stylizer loads it itself."""

_SERVICE: Final = b"s"
_PYTHON: Final = python("")[:-1]
_STARTUP_PREFIXES: Final = ("LD_", "PYTHON", "MALLOC_", "OMP_", "OPENBLAS_", "SSL_CERT_")
"""Prefixes of variables that are read when a process starts or loads its packages."""

_PR_SET_NAME: Final = 15
_log = logging.getLogger(__name__)


class Loader:
    """Starts Python commands as forks of one process, which starts with the first of them.

    ``environment`` is what all commands have in common; the loader writes its errors to ``log``.
    """

    def __init__(
        self, environment: Mapping[str, str], log: Path, loaded: tuple[str, ...] = LOADED
    ) -> None:
        self.environment = environment
        self._log = log
        # BLAS would start threads, which no service needs.
        own = {**environment, "OPENBLAS_NUM_THREADS": "1"}
        self.server = ForkServer(python("local.loader", *loaded), own, log)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.server.end()

    async def launch(self, command: Command, log: BinaryIO) -> Child:
        """Start a command with ``log`` as its output, as a fork if possible.

        Raises:
            OSError: there is no such program.
        """
        if self._can_fork(command):
            try:
                return await self._fork(command, log)
            except (OSError, TimeoutError):
                _log.warning("%s loads by itself; %s says why", command.name, self._log)
        return await execute(command, log)

    def _can_fork(self, command: Command) -> bool:
        return (
            sys.platform == "linux"
            and command.argv[: len(_PYTHON)] == _PYTHON
            and _startup_variables(command.environment) == _startup_variables(self.environment)
        )

    async def _fork(self, command: Command, log: BinaryIO) -> Child:
        service = {
            "name": command.name,
            "argv": command.argv[len(_PYTHON) :],
            "environment": dict(command.environment),
            "directory": str(command.log.parent),
        }
        # A file in memory rather than a pipe, since it takes any amount at once.
        with os.fdopen(os.memfd_create("service"), "w+b") as request:
            request.write(json.dumps(service).encode())
            request.seek(0)
            files = (request.fileno(), log.fileno(), log.fileno())
            leash = await self.server.start(_SERVICE, files)
        try:
            async with asyncio.timeout(command.start_timeout_s):
                pid = await leash.begun()
        except BaseException:
            leash.cut()
            raise
        if pid is None:
            raise ChildProcessError("the loader has ended, or cannot start it")
        return Service(pid, leash)


class Service:
    """A fork of the loader, with the interface of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, leash: Leash) -> None:
        self.pid = pid
        self._leash = leash

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return _ending(self._leash.code) if self._leash.has_ended else None

    async def wait(self) -> int:
        """Return `returncode` once it has ended."""
        return _ending(await self._leash.wait())

    def terminate(self) -> None:
        """Send SIGTERM."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def _ending(code: int | None) -> int:
    # Forks are killed together with the loader, which then cannot report their exit codes.
    return -signal.SIGKILL if code is None else code


def _startup_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name.startswith(_STARTUP_PREFIXES)
    }


def main() -> None:
    """Load, fork for each request, and become the requested service."""
    with loading():
        for module in sys.argv[1:]:
            import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("the loader has started threads, which forks would miss")
    wait_for_work()
    with open(0, "rb", closefd=False) as request:
        service = json.load(request)
    _switch_to(service["name"], service["environment"], service["directory"])
    sys.argv = service["argv"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _switch_to(name: str, environment: dict[str, str], directory: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


if __name__ == "__main__":
    main()
