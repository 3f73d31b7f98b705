"""Landlock: the Linux kernel's way for an unprivileged process to drop access to files.

The three system calls are made through ctypes. Structures and bits are those of
``linux/landlock.h``; only bits that the kernel's version knows are set, as it accepts a longer
structure if the rest is zero.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_REMOVE_FILE: Final = 1 << 5
_MAKE_FILE: Final = 1 << 8
_TRUNCATE: Final = 1 << 14
_ORDINARY_WORK: Final = _WRITE_FILE | _READ_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE
_FILE_SYSTEM: Final = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}
"""The actions on files and folders, by the interface version that introduced them."""
_NETWORK: Final = {4: (1 << 2) - 1}
"""Binding and connecting TCP sockets."""
_SCOPES: Final = {6: (1 << 2) - 1}
"""Connecting to abstract Unix sockets and signalling processes outside."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's interface, 0 if it is missing or may not be used."""
    if sys.platform != "linux":
        return 0
    return max(_syscall(_CREATE_RULESET, None, 0, _ASK_VERSION), 0)


def restrict_to(folder: Path) -> None:
    """Deny this thread all files, sockets and processes except the files in ``folder``.

    Those may still be created, read, written and deleted, and open files stay usable. What the
    kernel's version does not cover stays allowed. The thread must have set ``no_new_privs``.

    Raises:
        OSError: the kernel refused, or the folder does not exist.
    """
    known = version()
    ruleset = _Ruleset(_bits(_FILE_SYSTEM, known), _bits(_NETWORK, known), _bits(_SCOPES, known))
    handle = _checked(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        beneath = os.open(folder, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            rule = _PathBeneath(_ORDINARY_WORK & ruleset.handled_access_fs, beneath)
            _checked(_ADD_RULE, handle, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(beneath)
        _checked(_RESTRICT_SELF, handle, 0)
    finally:
        os.close(handle)


def _bits(by_version: dict[int, int], known: int) -> int:
    return sum(bits for since, bits in by_version.items() if since <= known)


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def _checked(number: int, *arguments: object) -> int:
    if (result := _syscall(number, *arguments)) < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
