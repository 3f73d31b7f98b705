"""Failed attempts: whose fault they are, and their count in the chunk's blob."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av.error
import numpy as np
import pytest
from structlog.testing import capture_logs
from styles import hang, network
from suspects import LIMIT, NAME, SETTLED, Gone, begin, chunk, painter, read

from shared.contracts.errors import ChunkError
from shared.hubs.workers import GivenBack
from shared.media.probes import find_nvenc_fault
from shared.storage.blobs import BlobStore
from shared.styles.gallery import Gallery
from stylizer.attempts import isolation, retrying
from stylizer.attempts.counter import AttemptCounter
from stylizer.attempts.isolation import AttemptFailed, IsolatedPainter
from stylizer.painting.engine import Canvas, Frames, OnnxEngine

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 90.0


async def test_attempts_that_fail_are_counted_up_to_the_limit(
    blobs: BlobStore, container: str
) -> None:
    counter, event = AttemptCounter(blobs, container, LIMIT), chunk()[0]
    attempts = counter.of(NAME, await read(blobs, container), event)
    assert [await begin(attempts) for _ in range(4)] == [1, 2, 3, None]


async def test_an_attempt_that_another_worker_has_counted_is_not_counted_twice(
    blobs: BlobStore, container: str
) -> None:
    counter, event = AttemptCounter(blobs, container, LIMIT), chunk()[0]
    ours, others = [counter.of(NAME, await read(blobs, container), event) for _ in range(2)]
    assert await others.begin(1)
    assert not await ours.begin(1)
    assert ours.upcoming == 2
    assert await ours.begin(2)
    assert await ours.begin(3)
    assert await counter.made(NAME) == 3


async def test_a_chunk_that_has_to_be_painted_again_has_all_its_attempts_again(
    blobs: BlobStore, container: str
) -> None:
    counter, event = AttemptCounter(blobs, container, LIMIT), chunk()[0]
    attempts = counter.of(NAME, await read(blobs, container), event)
    assert [await begin(attempts) for _ in range(4)] == [1, 2, 3, None]
    for how in ({"on_processor": True}, {"styles": "a1"}, {"on_processor": True, "styles": "a1"}):
        again = event.model_copy(update=how)
        anew = counter.of(NAME, await read(blobs, container), again)
        assert [await begin(anew) for _ in range(2)] == [1, 2]
        assert await begin(attempts) is None
        another = counter.of(NAME, await read(blobs, container), again)
        assert await begin(another) == 2


async def test_workers_that_die_beside_an_isolated_attempt_do_not_condemn_the_chunk(
    blobs: BlobStore, container: str
) -> None:
    counter = AttemptCounter(blobs, container, LIMIT)

    async def begin_and_die() -> int | None:
        return await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))

    # The first ran among the worker's other chunks: it may have killed it
    assert await begin_and_die() == 1
    # The others could not: whatever ended their workers was something else
    assert [await begin_and_die() for _ in range(5)] == [2, 2, 2, 2, 2]
    survivor = counter.of(NAME, await read(blobs, container), chunk()[0])
    assert [await begin(survivor) for _ in range(3)] == [2, 3, None]
    # Nor is it tried for ever, should it be the chunk after all
    last = [await begin_and_die() for _ in range(2 * LIMIT)]
    assert last[-1] is None


class Partial(Gone):
    """An engine that paints blank frames, and nothing else."""

    def paint(
        self, style: str, frames: Frames, canvas: Canvas | None = None, **_options: bool
    ) -> Frames:
        self.paints = not np.any(frames)
        return super().paint(style, frames, canvas)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every isolated attempt fail, for the reason in the list."""
    reasons = ["CUDA failure 999: unknown error"]

    async def fail(*_arguments: object) -> bytes:
        raise AttemptFailed(reasons[0])

    script = "import sys; sys.stdin.buffer.read(1); print('ready', flush=True); sys.stdin.read()"
    monkeypatch.setattr(isolation, "_COMMAND", (sys.executable, "-c", script))
    monkeypatch.setattr(IsolatedPainter, "segment", fail)
    return reasons


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_worker_whose_engine_is_gone_leaves_however_often_the_chunk_was_tried(
    blobs: BlobStore, container: str, before: int
) -> None:
    counter = AttemptCounter(blobs, container, LIMIT)
    for _ in range(before):
        await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    painting, health = painter(blobs, container, Gone())
    with pytest.raises(GivenBack, match="the engine no longer paints"):
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    assert health.failed.is_set()


@pytest.mark.parametrize(
    "cause",
    [
        "Failed to allocate memory for requested buffer of size 4294967296",
        # As ONNX Runtime 1.31 says it on an H200, when its arena has reached its cap
        "bfc_arena.cc:360 Available memory of 2843904 is smaller than requested bytes of 33177600",
    ],
)
async def test_a_worker_whose_gpu_is_out_of_memory_leaves(
    blobs: BlobStore, container: str, failing: list[str], cause: str
) -> None:
    failing[0] = f"exit code 1: {cause}"
    counter = AttemptCounter(blobs, container, LIMIT)
    await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    engine = Gone()
    engine.paints = True
    painting, health = painter(blobs, container, engine, engine="cuda")
    with pytest.raises(GivenBack, match="the GPU is out of memory"):
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    assert health.failed.is_set()


@pytest.mark.parametrize(
    ("cause", "patience_s", "least_s"),
    [
        ("MemoryError", 1.0, (LIMIT - 1) * 1.0),
        ("RuntimeError: can't start new thread", 1.0, (LIMIT - 1) * 1.0),
        ("SIGSEGV", 3600.0, 0.0),
    ],
)
async def test_a_machine_that_has_run_out_gets_time_before_the_next_attempt_and_no_other(
    blobs: BlobStore,
    container: str,
    failing: list[str],
    monkeypatch: pytest.MonkeyPatch,
    cause: str,
    patience_s: float,
    least_s: float,
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE_S", patience_s)
    failing[0] = f"exit code 1: {cause}"
    counter = AttemptCounter(blobs, container, LIMIT)
    await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    engine = Gone()
    engine.paints = True
    painting, _ = painter(blobs, container, engine)
    began = time.monotonic()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(ChunkError, match="painting failed 3 times"):
            await painting.paint(chunk()[0], NAME, await read(blobs, container))
    assert time.monotonic() - began >= least_s


@pytest.mark.skipif(find_nvenc_fault() is None, reason="NVENC works here")
async def test_a_worker_whose_gpu_no_longer_encodes_leaves(
    blobs: BlobStore, container: str, failing: list[str]
) -> None:
    failing[0] = "exit code 1: h264_nvenc: Generic error in an external library"
    counter = AttemptCounter(blobs, container, LIMIT)
    await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    engine = Gone()
    engine.paints = True
    painting, health = painter(blobs, container, engine, segment_encoder="nvenc")
    with pytest.raises(GivenBack, match="the GPU's encoder no longer works"):
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    assert health.failed.is_set()


async def test_a_chunk_that_fails_where_others_are_painted_is_to_blame(
    blobs: BlobStore, container: str, failing: list[str]
) -> None:
    failing[0] = "the process that painted it ended with SIGSEGV"
    counter = AttemptCounter(blobs, container, LIMIT)
    await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    engine = Gone()
    engine.paints = True
    painting, health = painter(blobs, container, engine)
    with pytest.raises(ChunkError, match="painting failed 3 times: .*SIGSEGV") as poisoned:
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    assert poisoned.value.code == "CHUNK_POISONED"
    assert not health.failed.is_set()


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (KeyError("/opt/stylestream/styles/x.onnx"), "the stylizer's log holds the cause, under"),
        (
            av.error.InvalidDataError(1, "Invalid data found when processing input", "/tmp/x.mp4"),
            "a codec failed, invalid data found when processing input",
        ),
    ],
)
async def test_an_unforeseen_error_is_only_in_the_log(
    blobs: BlobStore, container: str, cause: Exception, sentence: str
) -> None:
    engine = Partial()
    engine.cause = cause
    painting, _ = painter(blobs, container, engine, attempts=1)
    with capture_logs() as lines, pytest.raises(ChunkError) as poisoned:
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    # Then its user reads neither names of Python's nor paths, and its operator does
    assert poisoned.value.message.startswith(f"painting failed once: {sentence}")
    assert type(cause).__name__ not in poisoned.value.message
    assert "/" not in poisoned.value.message
    (line,) = (line for line in lines if line["event"] == "attempt failed")
    assert type(cause).__name__ in line["cause"]
    assert poisoned.value.__cause__.__cause__ is cause


def _forget_network(folder: Path) -> None:
    (folder / "starry-night.onnx").unlink()


def _replace_style(folder: Path) -> None:
    hang(folder, "starry-night", network(0.5))


def _add_half_a_style(folder: Path) -> None:
    hang(folder, "another", network(0.5))
    (folder / "another.onnx").unlink()


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (0, _replace_style),
        (0, _forget_network),
        (1, _replace_style),
        (1, _add_half_a_style),
    ],
)
async def test_a_worker_whose_styles_are_changed_in_place_leaves(
    blobs: BlobStore,
    container: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    change: Callable[[Path], None],
) -> None:
    hang(tmp_path, "starry-night", network(0.9))
    # The isolated attempts open the folder of their environment
    monkeypatch.setenv("STYLES_DIR", str(tmp_path))
    engine = OnnxEngine(Gallery(tmp_path), "cpu")
    counter = AttemptCounter(blobs, container, LIMIT)
    for _ in range(before):
        await begin(counter.of(NAME, await read(blobs, container), chunk()[0]))
    change(tmp_path)
    painting, health = painter(blobs, container, engine, **SETTLED)
    with pytest.raises(GivenBack, match="styles were changed"):
        await painting.paint(chunk()[0], NAME, await read(blobs, container))
    # A segment that names the version it was not painted in would go unnoticed, and a chunk is not
    # to blame for what happens to a folder
    assert health.failed.is_set()
