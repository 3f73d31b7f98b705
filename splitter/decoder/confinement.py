"""Irrevocably drop every right that decoding does not need.

A decoder compromised by a hostile file is left with its memory, its two channels to the splitter,
and the one folder that it may write to. None of this needs privileges: it works for an ordinary
user without capabilities, under ``no_new_privs`` and a container's own filter.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shared.contracts.errors import StylestreamError
from shared.forks.orphans import end_with_parent
from splitter.decoder import landlock, seccomp
from splitter.media.limits import Limits
from splitter.protection import LAYERS, Layer

_OPEN_FILES: Final = 16
_UNKNOWN_LIMITS: Final = () if sys.platform == "linux" else (OSError, ValueError)
"""Other systems define these limits, but not all of them can be set."""
_PR_SET_NO_NEW_PRIVS: Final = 38


class SandboxError(StylestreamError):
    """The decoder cannot be confined as required."""


def available() -> frozenset[Layer]:
    """Return the layers that this machine supports."""
    has: dict[Layer, bool] = {
        "limits": True,
        "landlock": landlock.version() > 0,
        "seccomp": seccomp.is_supported(),
    }
    return frozenset(layer for layer, there in has.items() if there)


def confine(
    limits: Limits,
    folder: Path,
    required: frozenset[Layer] = frozenset(),
    *,
    start_threads: Callable[[], None] = lambda: None,
) -> None:
    """Confine this process to the work of one video, with all layers that the machine supports.

    Afterwards, files can be opened, created and deleted only in ``folder``, modules not yet
    imported cannot be imported, and threads cannot be started: ``start_threads`` starts those that
    the work needs. It is called at a point where they are confined from their beginning.

    Raises:
        SandboxError: a required layer is missing, or other threads run already, which would stay
            unconfined.
        OSError: the kernel refused a layer that it supports.
    """
    layers = available()
    if missing := required - layers:
        raise SandboxError(missing_sentence(missing))
    if sys.platform != "linux":
        start_threads()
        _limit(limits, _address_space())
        return
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise SandboxError("A decoder with several threads cannot be confined.")
    end_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    address_space = _address_space()
    # Landlock applies to this thread and those that it starts; seccomp applies to all threads.
    if "landlock" in layers:
        landlock.restrict_to(folder)
    start_threads()
    _limit(limits, address_space)
    if "seccomp" in layers:
        seccomp.restrict_calls()


def missing_sentence(missing: frozenset[Layer]) -> str:
    """Return a sentence that names the missing layers and the remedy."""
    needs = {"landlock": "Landlock (Linux 5.13 or later)", "seccomp": "seccomp filters"}
    lacking = " and ".join(needs.get(layer, layer) for layer in LAYERS if layer in missing)
    return (
        f"The decoder cannot be confined: the kernel lacks {lacking}, or the container's seccomp "
        "profile forbids it. Allow it, or set SANDBOX=optional to decode with the confinement "
        "available."
    )


def _limit(limits: Limits, address_space: int) -> None:
    for kind, bound in (
        (resource.RLIMIT_AS, address_space + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.side_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        # No further process or thread; the kernel does not enforce this for root.
        (resource.RLIMIT_NPROC, 0),
    ):
        with contextlib.suppress(*_UNKNOWN_LIMITS):
            _lower(kind, bound, bound)
    # The soft limit kills with SIGXCPU, which names the cause; the hard one with SIGKILL.
    _lower(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 5)


def _lower(kind: int, soft: int, hard: int) -> None:
    """Bound a resource; a lower bound that this user already has stays, as it cannot be raised."""
    given = resource.getrlimit(kind)[1]
    most = hard if given == resource.RLIM_INFINITY else min(hard, given)
    resource.setrlimit(kind, (min(soft, most), most))


def _address_space() -> int:
    """Return how many bytes of address space the process already has."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except FileNotFoundError:
        return 512 * 1024 * 1024
    return pages * resource.getpagesize()
