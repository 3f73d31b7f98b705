"""The decoding child: `splitter.decoder.process` runs it; nobody does by hand.

An upload is hostile until it has been decoded, and decoders are large pieces of C. They run here,
in a process that knows no credentials, has no share in the splitter's memory, is bounded in memory,
processor time and output, and is killed without loss when it misbehaves.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import av.error

from shared.contracts.errors import SourceRefused
from splitter.decoder.ranges import RangeFile, receive
from splitter.decoder.wire import LENGTH, Job, Refusal, decode_job, encode_message
from splitter.media.limits import Limits
from splitter.media.split import SplitEvent, split

_NICENESS = 10
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def main() -> None:
    """Serve one job: standard input is the socket to the parent, standard output the pipe."""
    connection = socket.socket(fileno=os.dup(0))
    with _claimed_output() as output:
        (length,) = LENGTH.unpack(receive(connection, LENGTH.size))
        job = decode_job(receive(connection, length))
        confine(job.options.limits)
        # On a machine that does it all, frames on their way out go before new ones coming in.
        os.nice(_NICENESS)
        for event in _events(job, connection):
            output.write(encode_message(event))
            output.flush()


def confine(limits: Limits) -> None:
    """Give up what decoding does not need, for good."""
    for kind, bound in (
        (resource.RLIMIT_AS, _address_space() + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.side_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (bound, bound))
    # The soft limit ends the process with a signal that names the cause, the hard one does not.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 5))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Without a network where the kernel allows it; containers often do not, and have rules of
        # their own for what may be reached.
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _address_space() -> int:
    """Return how much of it the process has already claimed."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except FileNotFoundError:
        return 512 * 1024 * 1024
    return pages * resource.getpagesize()


def _events(job: Job, connection: socket.socket) -> Iterator[SplitEvent | Refusal]:
    file = cast("BinaryIO", RangeFile(connection, job.size))
    try:
        yield from split(file, job.options, job.side_path)
    except SourceRefused as refusal:
        yield Refusal(refusal.code, refusal.message)
    except MemoryError:
        yield Refusal(
            "DECODER_OUT_OF_MEMORY",
            f"Decoding takes more than the {job.options.limits.memory_bytes} bytes allowed.",
        )
    except av.error.FFmpegError as error:
        traceback.print_exc()
        yield Refusal("DECODER_FAILED", f"The video could not be processed: {error}.")


@contextlib.contextmanager
def _claimed_output() -> Iterator[BinaryIO]:
    """Keep the result pipe to ourselves: what a library prints must not get between messages."""
    private = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(private, "wb") as output:
        yield output


if __name__ == "__main__":
    main()
