"""A child process that ends before it has its chunk does not count against the chunk."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest
from suspects import LIMIT, NAME, SETTLED, Gone, chunk, painter, read

from shared.hubs.workers import GivenBack
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content
from shared.styles.gallery import open_gallery
from stylizer.attempts import isolation, retrying
from stylizer.attempts.counter import AttemptCounter
from stylizer.attempts.lanes import Lanes
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.memory import PROCESS_BYTES, needed

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Starts:
    """The starts of children; the first ``failing`` of them are killed before they have a chunk."""

    def __init__(self, folder: Path) -> None:
        self._made, self._failing = folder / "made", folder / "failing"
        self._made.touch()
        self.fail(1)

    def fail(self, count: int) -> None:
        self._failing.write_text(str(count))

    @property
    def made(self) -> int:
        return len(self._made.read_text())

    @property
    def command(self) -> tuple[str, ...]:
        script = f"""
import os, runpy, signal
from pathlib import Path
made = Path({str(self._made)!r})
made.write_text(made.read_text() + "+")
if len(made.read_text()) <= int(Path({str(self._failing)!r}).read_text()):
    os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module("stylizer.attempts.isolated_child", run_name="__main__", alter_sys=True)
"""
        return sys.executable, "-P", "-c", script


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Starts:
    made = Starts(tmp_path)
    monkeypatch.setattr(isolation, "_COMMAND", made.command)
    monkeypatch.setattr(retrying, "PATIENCE_S", 0.01)
    return made


async def suspect(blobs: BlobStore, container: str) -> Content:
    """Return a chunk that was tried once."""
    counter = AttemptCounter(blobs, container, LIMIT)
    assert await counter.of(NAME, await read(blobs, container), chunk()[0]).begin(1)
    return await read(blobs, container)


async def test_a_start_that_fails_does_not_count_against_the_chunk(
    blobs: BlobStore, container: str, starts: Starts
) -> None:
    starts.fail(2)
    engine = OnnxEngine(open_gallery(None, "starry-night"), "cpu")
    painting, health = painter(blobs, container, engine, **SETTLED)
    segment = await painting.paint(chunk()[0], NAME, await suspect(blobs, container))
    assert segment.data
    assert starts.made == 3
    assert await painting.attempts(NAME) == 2
    assert not health.failed.is_set()


async def test_a_worker_that_cannot_start_a_painter_leaves_and_blames_no_chunk(
    blobs: BlobStore, container: str, starts: Starts
) -> None:
    starts.fail(1000)
    engine = Gone()
    engine.paints = True
    content = await suspect(blobs, container)
    for _ in range(2 * LIMIT):
        painting, health = painter(blobs, container, engine, **SETTLED)
        with pytest.raises(GivenBack, match="no process can be started"):
            await painting.paint(chunk()[0], NAME, content)
        assert health.failed.is_set()
        assert "SIGKILL" in health.live[1]
        assert await painting.attempts(NAME) == 1


async def test_a_program_that_does_not_run_is_no_reason_to_blame_a_chunk(
    blobs: BlobStore, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_COMMAND", ("/nonexistent/python",))
    monkeypatch.setattr(retrying, "PATIENCE_S", 0.01)
    engine = Gone()
    engine.paints = True
    painting, health = painter(blobs, container, engine, **SETTLED)
    with pytest.raises(GivenBack, match="no process can be started"):
        await painting.paint(chunk()[0], NAME, await suspect(blobs, container))
    assert "FileNotFoundError" in health.live[1]
    assert await painting.attempts(NAME) == 1


async def test_a_worker_that_is_told_to_end_starts_no_further_painter(
    blobs: BlobStore, container: str, starts: Starts
) -> None:
    starts.fail(1000)
    engine = Gone()
    engine.paints = True
    painting, health = painter(blobs, container, engine, **SETTLED)
    content = await suspect(blobs, container)
    painted = asyncio.create_task(painting.paint(chunk()[0], NAME, content))
    await asyncio.sleep(0)
    painting.lanes.drain()
    with pytest.raises(GivenBack, match="shutting down"):
        await painted
    assert starts.made <= 1
    assert not health.failed.is_set()


class NotingLanes(Lanes):
    """Notes how much memory each attempt waits for."""

    def __init__(self, health: Health) -> None:
        super().__init__(1, 60, health, memory=math.inf)
        self.needed: list[int] = []

    def free(self, needed: int = 0) -> AbstractAsyncContextManager[None]:
        self.needed.append(needed)
        return super().free(needed)


async def test_an_attempt_in_a_process_of_its_own_waits_for_the_memory_of_that_process_too(
    blobs: BlobStore, container: str, starts: Starts
) -> None:
    starts.fail(0)
    engine = OnnxEngine(open_gallery(None, "starry-night"), "cpu")
    painting, health = painter(blobs, container, engine, **SETTLED)
    painting.lanes = lanes = NotingLanes(health)
    event, content = chunk()[0], await read(blobs, container)
    assert (await painting.paint(event, NAME, content)).data
    assert starts.made == 0
    assert (await painting.paint(event, NAME, await read(blobs, container))).data
    assert starts.made == 1
    assert lanes.needed == [needed(event), needed(event) + PROCESS_BYTES]


async def test_frames_are_passed_through_with_the_memory_of_a_process_that_paints(
    blobs: BlobStore, container: str
) -> None:
    painting, health = painter(blobs, container, Gone(), **SETTLED)
    painting.lanes = lanes = NotingLanes(health)
    event, content = chunk()[0], await read(blobs, container)
    assert await painting.pass_through(event, content)
    assert lanes.needed == [needed(event) + PROCESS_BYTES]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_trim is glibc's")
async def test_a_service_gives_its_idle_memory_back_before_it_starts_a_process(
    blobs: BlobStore, container: str
) -> None:
    engine = OnnxEngine(open_gallery(None, "starry-night"), "cpu")
    painting, _ = painter(blobs, container, engine, **SETTLED)
    engine.paint("starry-night", np.zeros((1, 3, 720, 1280), np.uint8))
    before = resident()
    assert (await painting.paint(chunk()[0], NAME, await suspect(blobs, container))).data
    assert before - resident() > 50 << 20


def resident() -> int:
    """Return the bytes that this process holds in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_frames_are_passed_through_although_a_start_fails(
    blobs: BlobStore, container: str, starts: Starts
) -> None:
    engine = Gone()
    engine.paints = True
    painting, _ = painter(blobs, container, engine, **SETTLED)
    assert await painting.pass_through(chunk()[0], await suspect(blobs, container))
    assert starts.made == 2
