"""The decoder's process as tests see it: what it is given, what it gives, what it leaves."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from shared.contracts.errors import SourceRefused
from splitter.decoder.process import split_in_child
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


async def collect(upload, side, options=None, **more):
    events = split_in_child(
        upload.read, len(upload.data), options or SplitOptions(chunk_frames=8), side, **more
    )
    async with aclosing(events):
        return [event async for event in events]


async def refusal(upload, side, **more):
    with pytest.raises(SourceRefused) as caught:
        await collect(upload, side, **more)
    assert not side.exists()
    return caught.value


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


# What other tests' fixtures keep running, such as a whole stack, are children of this process, too.
OTHERS: set[str] = set()


def all_children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def children():
    return sorted(all_children() - OTHERS)
