"""The decoder's process as tests see it: its input, its output, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.contracts.errors import SourceRefused
from splitter.decoder.forks import ForkServer
from splitter.decoder.process import split_in_child
from splitter.decoder.wire import Job
from splitter.media.split import SplitOptions


class Upload:
    """Bytes behind a range read, as the blob storage gives them."""

    def __init__(self, data):
        self.data = data
        self.reads = []

    async def read(self, offset, length):
        self.reads.append((offset, length))
        await asyncio.sleep(0)
        return self.data[offset : offset + length]


STAND_INS: list[str] = []
"""Python, the last of which runs in forks in the decoder's place."""


def stand_in_server(code):
    """A fork server whose forks run ``code``."""
    prelude = "import os, sys, time, signal, socket\n"
    prelude += "from shared.forks.server import wait_for_work\nwait_for_work()\n"
    return ForkServer((sys.executable, "-c", prelude + code))


def fork_server():
    return stand_in_server(STAND_INS[-1]) if STAND_INS else ForkServer()


async def collect(upload, side, options=None, *, frame_deadline_s=60.0, **more):
    job = Job(len(upload.data), options or SplitOptions(chunk_frames=8), side, **more)
    async with fork_server() as server:
        events = split_in_child(server, upload.read, job, frame_deadline_s=frame_deadline_s)
        async with aclosing(events):
            return [event async for event in events]


async def refusal(upload, side, **more):
    with pytest.raises(SourceRefused) as caught:
        await collect(upload, side, **more)
    assert not side.exists()
    return caught.value


def open_files(of="self"):
    return len(list(Path(f"/proc/{of}/fd").iterdir()))


def threads_of(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


# What other tests' fixtures keep running, such as a whole stack, are children of this process, too.
OTHERS: set[str] = set()


def all_children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def children(of=None):
    """The processes that were started for the test; with ``of``, by that process."""
    if of is None:
        return sorted(all_children() - OTHERS)
    return Path(f"/proc/{of}/task/{of}/children").read_text().split()


def forks_of(server):
    return children(of=server._process.pid)


async def last_words(side: Path) -> str:
    """Let a decoder end itself; return what the log says of it, and its user does not read."""
    with capture_logs() as lines:
        found = await refusal(Upload(b"x"), side)
    assert found.message == "The decoder crashed (exit code 1)."
    (said,) = (line["stderr"] for line in lines if line["event"] == "decoder crashed")
    assert said
    return said
