"""The system calls that a confined decoder may make; all others fail with ``EPERM``.

The list is what Python, FFmpeg and x264 need once all modules are loaded and all threads run. It
offers no way to create a socket, process, thread or link, to run a program, to signal another
process, or to map executable memory.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_SET_MODE_FILTER: Final = 1
_ON_ALL_THREADS: Final = 1
"""SECCOMP_FILTER_FLAG_TSYNC: on all threads or, if one cannot take it, on none."""

# Classic BPF, linux/bpf_common.h and linux/seccomp.h.
_INSTRUCTION: Final = struct.Struct("HBBI")
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_BITS: Final = 0x45
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_REFUSE: Final = 0x00050000 | errno.EPERM
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16

Instruction = tuple[int, int, int, int]
"""Opcode, jump distance if true, jump distance if false, operand."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A processor's audit identifier (``linux/audit.h``) and its system call numbers."""

    audit: int
    seccomp: int
    """The number of the ``seccomp`` call."""
    calls: dict[str, int]


# fmt: off
_NAMES: Final = (
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fstat",
    "newfstatat", "openat", "ftruncate", "unlinkat", "sendto", "recvfrom",
    "brk", "munmap", "mremap", "madvise", "mmap", "mprotect", "futex",
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "times",
    "getrusage", "getrandom", "sched_yield", "sched_getaffinity",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "getpid", "gettid", "tgkill", "fcntl", "ioctl", "exit", "exit_group",
)
ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, 317, dict(zip(_NAMES, (
        0, 1, 19, 20, 17, 18, 8, 3, 5,
        262, 257, 77, 263, 44, 45,
        12, 11, 25, 28, 9, 10, 202,
        228, 229, 230, 35, 96, 100,
        98, 318, 24, 204,
        13, 14, 15, 131, 219,
        39, 186, 234, 72, 16, 60, 231,
    ), strict=True)) | {"unlink": 87}),
    "aarch64": Architecture(0xC00000B7, 277, dict(zip(_NAMES, (
        63, 64, 65, 66, 67, 68, 62, 57, 80,
        79, 56, 46, 35, 206, 207,
        214, 215, 216, 233, 222, 226, 98,
        113, 114, 115, 101, 169, 153,
        165, 278, 124, 123,
        134, 135, 139, 132, 128,
        172, 178, 131, 25, 29, 93, 94,
    ), strict=True))),
}
# fmt: on

_NOT_EXECUTABLE: Final[list[Instruction]] = [
    (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * 2),
    (_JUMP_BITS, 0, 1, mmap.PROT_EXEC),
    (_RETURN, 0, 0, _REFUSE),
    (_RETURN, 0, 0, _ALLOW),
]
"""For calls whose third argument is the protection of memory."""
_FIOCLEX: Final = 0x5451
"""With it Python marks files as close-on-exec."""
_FCNTL_COMMANDS: Final = (fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL)
"""Excludes the commands that make the kernel send signals."""


def is_supported() -> bool:
    """Whether this kernel can filter system calls, and their numbers are listed here."""
    return (
        sys.platform == "linux"
        and platform.machine() in ARCHITECTURES
        and ctypes.CDLL(None).prctl(21, 0, 0, 0, 0) >= 0  # PR_GET_SECCOMP
    )


def restrict_calls() -> None:
    """Irrevocably drop, for all threads, the system calls that are not on the list.

    The thread must have set ``no_new_privs`` before it started the others.

    Raises:
        OSError: the kernel refused.
    """
    architecture = ARCHITECTURES[platform.machine()]
    program = filter_program(architecture, os.getpid())
    code = b"".join(_INSTRUCTION.pack(*each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    described = Program(len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    refused = libc.syscall(
        ctypes.c_long(architecture.seccomp),
        ctypes.c_long(_SET_MODE_FILTER),
        ctypes.c_long(_ON_ALL_THREADS),
        ctypes.byref(described),
    )
    if refused:  # if positive, the id of a thread that could not be synchronised
        why = (
            os.strerror(ctypes.get_errno()) if refused < 0 else f"thread {refused} is not confined"
        )
        raise OSError(ctypes.get_errno(), f"seccomp: {why}")


def filter_program(architecture: Architecture, pid: int) -> list[Instruction]:
    """Return the filter in classic BPF for the process ``pid``, which may signal itself."""
    conditional = {
        "mmap": _NOT_EXECUTABLE,
        "mprotect": _NOT_EXECUTABLE,
        "fcntl": _only(1, _FCNTL_COMMANDS),
        "ioctl": _only(1, [_FIOCLEX]),
        "tgkill": _only(0, [pid]),
    }
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for name, number in architecture.calls.items():
        body = conditional.get(name, [(_RETURN, 0, 0, _ALLOW)])
        program += [(_JUMP_EQUAL, 0, len(body), number), *body]
    return [*program, (_RETURN, 0, 0, _REFUSE)]


def _only(argument: int, values: Iterable[int]) -> list[Instruction]:
    # The kernel reads these arguments as 32 bits, which come first in a little-endian word.
    body: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*body, (_RETURN, 0, 0, _REFUSE)]
