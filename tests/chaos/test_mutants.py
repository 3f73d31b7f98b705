"""The checks of the chaos runs find pipelines that are broken on purpose.

``test_runs.py`` has the one that each run of the tests tries.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import pytest_asyncio

from chaos.arena import Arena
from chaos.clips import CLIPS
from chaos.history import BlobCall
from chaos.promises import Promise, check
from chaos.tampering import Tampering
from chaos.updated_styles import updated_styles
from shared.contracts.layout import chunk_blob
from shared.contracts.messages import ChunkReady, SegmentReady, SplitCompleted

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
    pytest.mark.slow,
]

SHORT, LONG, _ = CLIPS
PARTITIONS, CHUNKS = 8, 12
"""Of the hub of frames, and of the long clip."""

PATIENCE_S = 120.0
UNSETTLED_S = 5.0
"""A sound stack settles within a second or two; how long a slow one takes spoils nothing here."""

SERVICES = {"stylizer-1": "stylizer", "assembler": "assembler", "splitter": "splitter"}

Promises = Callable[[], Awaitable[set[Promise]]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """A stack with one stylizer, which writes checkpoints whenever it can."""
    settings = {
        "CHECKPOINT_INTERVAL_S": "0.05",
        # A split comes to its end also while nobody paints.
        "OUTSTANDING_CHUNKS": "8",
        # A result that is written ahead waits for each segment, whatever is counted.
        "DRAFTS": "0",
    }
    folder = tmp_path_factory.mktemp("mutants")
    async with Arena(folder, {}, stylizers=1, settings=settings) as arena:
        yield arena


@asynccontextmanager
async def broken(arena: Arena, process: str, mutant: str) -> AsyncIterator[Promises]:
    """Let one process be a mutant, all others themselves; yields what is broken since."""
    for name, module in (SERVICES | {process: f"tests.chaos.mutants.{mutant}"}).items():
        await arena.exchange(name, module)
    before = set(check(await arena.history()))

    async def promises() -> set[Promise]:
        return {found.promise for found in set(check(await arena.history())) - before}

    yield promises


@contextmanager
def unread(arena: Arena, *chunks: int) -> Iterator[None]:
    """Keep chunks of any job from those who fetch them: nobody paints them meanwhile."""
    names, given_out = tuple(chunk_blob("", chunk) for chunk in chunks), asyncio.Event()

    async def keep(call: BlobCall) -> None:
        if (call.container, call.operation) == ("frames", "read") and call.name.endswith(names):
            await given_out.wait()

    arena.storage_proxy.call_hooks.append(keep)
    try:
        yield
    finally:
        arena.storage_proxy.call_hooks.remove(keep)
        given_out.set()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def patient_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Arena]:
    """A stack with one stylizer, whose assembler looks long before it takes chunks for lost."""
    folder = tmp_path_factory.mktemp("patient")
    async with Arena(folder, {}, stylizers=1, settings={"REDRIVE_AFTER_S": "12"}) as arena:
        yield arena


@pytest.mark.parametrize("mutant", ["early_checkpoint", "checkpoints_off_by_one"])
async def test_a_checkpoint_past_work_that_is_not_done_is_found(stack, mutant: str) -> None:
    async with broken(stack, "stylizer-1", mutant) as promises:
        # Of these a partition has one that is painted before.
        with unread(stack, *range(PARTITIONS, CHUNKS)):
            await stack.submit(LONG)
            async with asyncio.timeout(PATIENCE_S):
                while "I1" not in await promises():
                    await asyncio.sleep(0.2)
        await stack.jobs_ended(PATIENCE_S)


async def test_completeness_that_counts_duplicates_is_found(stack) -> None:
    async with broken(stack, "assembler", "counting_completeness") as promises:
        # The last chunk is not painted while the others are announced again and again.
        with unread(stack, CHUNKS - 1):
            await stack.submit(LONG)
            await seen(stack, SegmentReady, 2)
            await seen(stack, SplitCompleted, 1)
            announced = [e for e in job_events(stack) if isinstance(e.message, SegmentReady)]
            await stack.repeat(announced * 8, random.Random(1))
            await stack.jobs_ended(PATIENCE_S)
        assert await promises() & {"I3", "END"}


async def test_checkpoints_that_end_in_silence_are_found(stack) -> None:
    async with broken(stack, "stylizer-1", "silent_checkpoints") as promises:
        await stack.submit(SHORT)
        await stack.jobs_ended(PATIENCE_S)
        assert not await stack.settle(UNSETTLED_S)
        assert await promises() == {"I5"}


async def test_damaged_sound_that_is_not_noticed_is_found(stack) -> None:
    async with broken(stack, "assembler", "unchecked_tracks") as promises:
        stack.pool_signal(signal.SIGSTOP)
        await stack.submit(SHORT)
        await seen(stack, SplitCompleted, 1)
        [tracks] = [blob for blob in await stack.storage.leftovers() if "/side-" in blob]
        container, _, name = tracks.partition("/")

        def change(sound: bytearray) -> None:
            sound[len(sound) // 2] ^= 0xFF

        await stack.storage.damage(container, name, change)
        stack.pool_signal(signal.SIGCONT)
        await stack.jobs_ended(PATIENCE_S)
        assert await promises() & {"I2", "I3"} == {"I3"}


async def test_a_new_owner_that_begins_one_event_late_is_found(stack) -> None:
    # Without an owner before it, nothing is taken over.
    await stack.submit(LONG)
    await stack.jobs_ended(PATIENCE_S)
    async with broken(stack, "stylizer-1", "takeover_off_by_one") as promises:
        await stack.submit(LONG)
        await stack.jobs_ended(PATIENCE_S)
        assert "I1" in await promises()


async def test_a_chunk_that_is_blamed_after_its_first_attempt_is_found(stack) -> None:
    async with broken(stack, "stylizer-1", "hasty_blame") as promises:
        stack.pool_signal(signal.SIGSTOP)
        await stack.submit(SHORT)
        await seen(stack, ChunkReady, 2)
        poisoning = asyncio.create_task(Tampering(stack, random.Random(1)).poison())
        await stack.jobs_ended(PATIENCE_S)
        await poisoning
        await stack.settle(PATIENCE_S)
        assert await promises() == {"I6"}


async def test_a_result_that_was_not_verified_is_found(stack) -> None:
    async with broken(stack, "assembler", "unverified_results") as promises:
        await stack.submit(SHORT)
        await stack.jobs_ended(PATIENCE_S)
        assert "I3" in await promises()


async def test_a_result_in_two_versions_of_a_style_is_found(stack) -> None:
    async with broken(stack, "assembler", "any_version") as promises:
        with unread(stack, CHUNKS - 1):
            await stack.submit(LONG)
            await seen(stack, SegmentReady, CHUNKS - 1)
            stack.release.styles = await updated_styles(stack.styles)
            start_again(stack)
        await stack.jobs_ended(PATIENCE_S)
        await stack.settle(PATIENCE_S)  # the last events are finished a moment later
        assert await promises() == {"ALIKE"}
        stack.release.styles = None
        start_again(stack)


async def test_a_split_that_takes_all_places_is_found(patient_stack) -> None:
    async with broken(patient_stack, "splitter", "unpaced_splits") as promises:
        patient_stack.pool_signal(signal.SIGSTOP)
        await patient_stack.submit(LONG)
        await seen(patient_stack, SplitCompleted, 1)
        assert "FAIR" in await promises()
        patient_stack.pool_signal(signal.SIGCONT)
        await patient_stack.jobs_ended(PATIENCE_S)


async def test_finished_chunks_that_are_sent_again_are_found(patient_stack) -> None:
    async with broken(patient_stack, "assembler", "zealous_redrive") as promises:
        before = len(patient_stack.recorder.calls)
        await patient_stack.submit(SHORT)
        await seen(patient_stack, SegmentReady, 2)
        # What no checkpoint has passed yet waits for its turn.
        await passed(patient_stack, before)
        patient_stack.pool_signal(signal.SIGSTOP)
        # The clip has six chunks: the seventh event is of one that is sent again.
        await seen(patient_stack, ChunkReady, 7)
        patient_stack.pool_signal(signal.SIGCONT)
        await patient_stack.jobs_ended(PATIENCE_S)
        assert "LEAN" in await promises()


def start_again(arena: Arena) -> None:
    """Let all stylizers die, and be what is released when they are back."""
    for process in arena.stylizers:
        arena.release.apply(process)
    arena.pool_signal(signal.SIGKILL)


async def seen(arena: Arena, kind: type, count: int) -> None:
    """Wait until the hubs hold so many events of a kind about the newest job."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(isinstance(event.message, kind) for event in job_events(arena)) < count:
            await arena.recorder.progress()


async def passed(arena: Arena, before: int) -> None:
    """Wait until a checkpoint has passed a chunk, after so many calls."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(
            call.container == "frames-checkpoints" and "sequencenumber" in call.metadata
            for call in arena.recorder.calls[before:]
            if call.succeeded and call.metadata.get("sequencenumber") != "-1"
        ):
            await arena.recorder.progress()


def job_events(arena: Arena):
    job = arena.recorder.uploads[-1].job_id
    return [e for e in arena.recorder.events if e.message and e.message.job_id == job]
