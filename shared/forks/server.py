"""The process that others are forked from: it has loaded what they need, once.

It is run by `shared.forks.client`. A request is one byte and four open files; anything more reaches
the fork through its standard input. The server has one thread and no locks, so forking is safe.

Standard input is the socket that requests come through; when it is closed, the server and all forks
end. The first three files of a request become the fork's standard input, output and error. The
fourth is its leash: the fork is killed when the other end is shut down, and its process id is
written to it when the fork has begun, its exit code when it has ended. It is closed without either
if there is no memory, process or file left for the fork.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import selectors
import signal
import socket
import struct
import sys
from typing import Final

from shared.forks.orphans import end_with_parent

MESSAGE: Final = struct.Struct("!ci")
"""A message that comes back on a leash: `BEGUN` or `ENDED`, and a number."""

BEGUN: Final = b"b"
"""With the fork's process id."""

ENDED: Final = b"e"
"""With the fork's exit code; negative when a signal ended it."""

FILES: Final = 4
"""The number of files in a request: standard input, output, error, leash."""

_MOST_FILES: Final = 65_536


def wait_for_work() -> bytes:
    """Serve requests; return only in forks, each time with the byte of its request.

    The calling process itself ends in here, together with all forks.
    """
    end_with_parent()
    # Everything here stays for good; a fork's collector would copy its memory by touching it.
    gc.collect()
    gc.freeze()
    server = _Server(socket.socket(fileno=os.dup(0)))
    while True:
        if work := server.serve():
            return work


class _Server:
    def __init__(self, requests: socket.socket) -> None:
        self._pid = os.getpid()
        self._requests = requests
        self._leashes: dict[int, socket.socket] = {}
        """By process id; these forks were not waited for yet, so no id can have been reused."""
        self._woken, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for readable in (self._requests, self._woken):
            self._selector.register(readable, selectors.EVENT_READ)
        for end in (self._woken, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> bytes:
        """Handle pending events; return the request's byte in its fork, empty otherwise."""
        for key, _ in self._selector.select():
            if key.fileobj is self._woken:
                self._woken.recv(4096)
                self._reap()
            elif key.fileobj is not self._requests:
                if key.data in self._leashes:  # otherwise it was just waited for
                    self._selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)
            elif work := self._fork():
                return work
        return b""

    def _fork(self) -> bytes:
        work, files, _, _ = socket.recv_fds(self._requests, 1, FILES)
        if not work:
            self._end()
        try:
            if len(files) < FILES:  # the kernel leaves out what would be too many open files
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
        except OSError as error:  # for want of memory, processes or files, which others have
            with contextlib.suppress(OSError):  # the disk of a log may be full
                print("a process cannot be started:", error, file=sys.stderr)
            for file in files:
                os.close(file)
            return b""
        if pid:
            for file in files[:-1]:
                os.close(file)
            leash = socket.socket(fileno=files[-1])
            self._leashes[pid] = leash
            self._selector.register(leash, selectors.EVENT_READ, pid)
            return b""
        self._leave(files)
        return work

    def _leave(self, files: list[int]) -> None:
        """Turn a fork into a process of its own, with three open files and no others."""
        end_with_parent(self._pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Closed by the objects that own them, which thus cannot close a reused number later.
        self._selector.close()
        for end in (self._requests, self._woken, self._wake, *self._leashes.values()):
            end.close()
        os.setsid()
        for number, file in enumerate(files[:-1]):
            os.dup2(file, number)
        # Whoever knows the process id may send signals to the group.
        with socket.socket(fileno=files[-1]) as leash, contextlib.suppress(OSError):
            leash.sendall(MESSAGE.pack(BEGUN, os.getpid()))
        os.closerange(3, _MOST_FILES)

    def _reap(self) -> None:
        while self._leashes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            leash = self._leashes.pop(pid)
            with contextlib.suppress(KeyError):  # it was killed, and is no longer watched
                self._selector.unregister(leash)
            with leash, contextlib.suppress(OSError):  # the other end may be gone
                leash.sendall(MESSAGE.pack(ENDED, os.waitstatus_to_exitcode(status)))

    def _end(self) -> None:
        for pid in self._leashes:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)
