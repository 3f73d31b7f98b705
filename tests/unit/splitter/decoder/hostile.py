"""A compromised decoder: it tries every door, and prints which were open and which shut.

Arguments: a folder with the files of two jobs, a process of the same user, a port that listens,
"free", "confined" or "on a thread" of a confined process, and the address of a secret in that
process.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import socket
import sys
import threading
from pathlib import Path

from splitter.decoder.confinement import confine
from splitter.media.crew import Crew
from splitter.media.limits import Limits
from splitter.protection import LAYERS

FOLDER, HOW = Path(sys.argv[1]), sys.argv[4]
VICTIM, PORT, SECRET = (int(sys.argv[i]) for i in (2, 3, 5))
OWN, OTHER = FOLDER / "own", FOLDER / "neighbour"
REFUSED = (1, 13)
LIBC = ctypes.CDLL(None, use_errno=True)
ALREADY_OPEN = socket.socket()


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def call(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def fork() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


def start_a_thread() -> None:
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        raise PermissionError(1, "") from None


def map_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()


def read_memory() -> None:
    text = ctypes.create_string_buffer(6)
    ours, theirs = Vector(ctypes.addressof(text), 6), Vector(SECRET, 6)
    call(LIBC.process_vm_readv(VICTIM, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))
    assert text.raw == b"secret"


DOORS = {
    "the token": (FOLDER / "token").read_text,
    "programs": lambda: Path("/bin/sh").read_bytes(),
    "its environment": lambda: Path("/proc/self/environ").read_bytes(),
    "folders": lambda: os.scandir(FOLDER).close(),
    "read a neighbour's file": (OTHER / "side").read_bytes,
    "overwrite a neighbour's file": lambda: (OTHER / "side").write_bytes(b"mine"),
    "truncate a neighbour's file": lambda: os.truncate(OTHER / "side", 0),
    "delete a neighbour's file": (OTHER / "deleted").unlink,
    "rename": lambda: (OTHER / "renamed").rename(OWN / "renamed"),
    "link": lambda: os.link(OWN / "side", OWN / "link"),
    "create a file": (FOLDER / "new").touch,
    "create a folder": (OWN / "folder").mkdir,
    "change a mode": lambda: (OWN / "side").chmod(0o600),
    "IPv4": lambda: socket.socket(socket.AF_INET).close(),
    "Unix sockets": socket.socketpair,
    "connect a socket that is open": lambda: ALREADY_OPEN.connect(("127.0.0.1", PORT)),
    "fork": fork,
    "exec": lambda: os.execv(OWN / "missing", ["missing"]),
    "threads": start_a_thread,
    "signal another process": lambda: os.kill(VICTIM, 0),
    "trace": lambda: call(LIBC.ptrace(0x4206, VICTIM, 0, 0)),
    "read another's memory": read_memory,
    "read another's limits": lambda: resource.prlimit(VICTIM, resource.RLIMIT_CPU),
    "set its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 19),
    "map memory as code": map_code,
    "files in memory": lambda: os.memfd_create("x"),
    "leave its session": os.setsid,
}


def main() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        # As it is in a process that never was another user's.
        LIBC.prctl(4, 1, 0, 0, 0)
    crew = Crew(2)
    if HOW == "free":
        crew.start()
    else:
        confine(Limits(), OWN, frozenset(LAYERS), start_threads=crew.start)
    found = crew.submit_to_all(try_all)[0].result() if HOW == "on a thread" else try_all()
    with (OWN / "side").open("wb") as file:
        file.write(b"tracks")
    os.write(1, json.dumps(found).encode())


def try_all() -> dict[str, str]:
    found = {}
    for name, door in DOORS.items():
        try:
            door()
        except OSError as error:
            found[name] = "shut" if error.errno in REFUSED else "open"
        else:
            found[name] = "open"
    return found


main()
