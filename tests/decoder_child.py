"""The decoder's process as tests see it: its input, its output, and what it leaves behind."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from shared.contracts.errors import SourceRefused
from splitter.decoder.forks import ForkServer
from splitter.decoder.process import split_in_child
from splitter.decoder.wire import Job
from splitter.media.split import SplitOptions

_STAND_IN = """
import os, pathlib, signal, socket, sys, time
from shared.forks.server import wait_for_work
{loads}
wait_for_work()
exec(pathlib.Path(sys.argv[1]).read_text())
"""


class Upload:
    """Bytes behind a range read, as the blob storage gives them."""

    def __init__(self, data):
        self.data = data
        self.reads = []

    async def read(self, offset, length):
        self.reads.append((offset, length))
        await asyncio.sleep(0)
        return self.data[offset : offset + length]


class SharedForkServer(ForkServer):
    """A fork server that stays when one of its users leaves; it starts with the first fork."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_exc):
        pass


DECODERS = SharedForkServer()
"""What the splitters of all contract tests fork their decoders from; it is ended with the tests."""


def stand_in_server(code: Path, loads="from splitter.decoder import sandbox"):
    """A fork server whose forks run the Python in a file, after ``loads`` was run once."""
    command = (sys.executable, "-c", _STAND_IN.format(loads=loads), str(code))
    return ForkServer(command)


CHOSEN: list[ForkServer] = []
"""The last one forks what the running test takes for a decoder."""


def fork_server():
    return CHOSEN[-1]


async def collect(upload, side, options=None, *, frame_deadline_s=60.0, server=None, **more):
    job = Job(len(upload.data), options or SplitOptions(chunk_frames=8), side, **more)
    decoders = server or fork_server()
    events = split_in_child(decoders, upload.read, job, frame_deadline_s=frame_deadline_s)
    async with aclosing(events):
        return [event async for event in events]


async def refusal(upload, side, **more):
    with pytest.raises(SourceRefused) as caught:
        await collect(upload, side, **more)
    assert not side.exists()
    return caught.value


def open_files(of=None):
    """Count a process's files without its connections, which clients of other tests may close."""
    process = psutil.Process(None if of is None else int(of))
    return process.num_fds() - len(process.net_connections("tcp"))


def threads_of(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def forks_of(server):
    """The processes that were forked for the running test and still live."""
    pid = server._process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def last_words(side: Path, server: ForkServer | None = None) -> str:
    """Let a decoder end itself; return what the log says of it, and its user does not read."""
    with capture_logs() as lines:
        found = await refusal(Upload(b"x"), side, server=server)
    assert found.message.startswith("The decoder crashed (exit code 1): convert the video")
    (said,) = (line["stderr"] for line in lines if line["event"] == "decoder crashed")
    assert said
    return said
