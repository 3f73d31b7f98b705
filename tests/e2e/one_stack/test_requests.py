"""How many requests a job and an idle stack send to storage, by storage's own log."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from videos import Video

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

MOST_A_CHUNK = 6
MOST_A_JOB = 37
WITH_PROGRESS = 2
"""More where the split was long enough to record its progress: then there may be leftovers."""
LOOKS_A_SECOND = 3
"""While a job lasts: its record is read and written, and so is how far its split is."""
IDLE_A_SERVICE = 0.65
"""A second: whom partitions are of, whether one lives, whether storage is there."""
WATCHER = 0.05
"""Uploads are listed when storage says that there is one, and now and then."""
LOOKS_AT_UPLOADS = 4
"""Its names, then its blobs; and another time if something was uploaded before."""
DEADLINE_S = 90.0


def requests(log: Path) -> list[str]:
    """Return method and path of every request so far, in order."""
    # The last line may be half written.
    lines = log.read_text(encoding="utf-8").splitlines()[:-1]
    return [" ".join(found.groups()) for line in lines if (found := _REQUEST.search(line))]


_REQUEST = re.compile(r'"([A-Z]+) /devstoreaccount1/(\S*) HTTP/1\.1" \d')


async def test_a_small_job_asks_storage_little(pipeline) -> None:
    log = pipeline.stack.logs / "azurite.log"
    before, began = len(requests(log)), time.monotonic()
    job = await pipeline.submit("frugal.mp4", Video(frames=40, size=(64, 48)).make())
    # Not looked up in storage: these would be our requests.
    async with asyncio.timeout(DEADLINE_S):
        while not _is_announced(pipeline.stack.announcements, job):
            await asyncio.sleep(0.05)
    lasted_s = time.monotonic() - began
    asked = requests(log)[before:]
    chunks = len([line for line in asked if re.match(rf"PUT frames/{job}/\d+\.mp4$", line)])
    assert chunks == 5
    of_chunks = [line for line in asked if re.search(rf" (frames|segments)/{job}/\d+\.mp4", line)]
    assert len(of_chunks) <= MOST_A_CHUNK * chunks, Counter(of_chunks)
    of_it = [line for line in asked if job in line or "frugal" in line or "comp=batch" in line]
    most = MOST_A_JOB + WITH_PROGRESS * (f"PUT jobs/{job}/split.json" in asked)
    looks = [line for line in asked if line.startswith("GET uploads?")]
    assert len(looks) <= LOOKS_AT_UPLOADS + WATCHER * lasted_s, Counter(asked)
    assert len(of_it) <= most + LOOKS_A_SECOND * lasted_s, Counter(of_it)


@pytest.mark.slow
async def test_an_idle_stack_asks_storage_little(pipeline) -> None:
    log = pipeline.stack.logs / "azurite.log"
    # What services do when they start, and once a minute later, is over.
    await asyncio.sleep(75)
    before = len(requests(log))
    await asyncio.sleep(60)
    asked = requests(log)[before:]
    services = 4  # two of them stylizers
    by_kind = Counter(re.sub(r"/\d+(?=\?|$)", "/N", line) for line in asked)
    assert len(asked) <= 60 * (services * IDLE_A_SERVICE + WATCHER), by_kind


def _is_announced(announcements: Path, job: str) -> bool:
    return announcements.exists() and job in announcements.read_text(encoding="utf-8")
