"""The verdict is worth something only if it finds pipelines that are broken on purpose."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from local.chaos.arena import Arena
from local.chaos.clips import CLIPS
from local.chaos.promises import Promise, check
from shared.messages import SegmentReady, SplitCompleted

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SHORT, LONG, _ = CLIPS
PATIENCE_S = 40.0


def broken(folder: Path, service: str, mutant: str, **settings: str) -> Arena:
    """A stack of which one service is a mutant, with one stylizer."""
    return Arena(
        folder,
        {},
        stylizers=1,
        settings=settings,
        modules={service: f"tests.chaos.mutants.{mutant}"},
    )


async def broken_promises(arena: Arena) -> set[Promise]:
    return {violation.promise for violation in check(await arena.history())}


async def test_a_checkpoint_before_the_work_is_done_is_found(tmp_path) -> None:
    async with broken(
        tmp_path, "stylizer", "early_checkpoint", CHECKPOINT_INTERVAL_S="0.05"
    ) as arena:
        await arena.submit(LONG)
        await arena.jobs_ended(PATIENCE_S)
        assert "I1" in await broken_promises(arena)


async def test_segments_written_over_each_other_are_found(tmp_path) -> None:
    async with broken(tmp_path, "stylizer", "overwritten_segments") as arena:
        await arena.submit(SHORT)
        await arena.recorder.reach(8)
        chunks = [event for event in arena.recorder.events if event.hub == "frames"]
        await arena.repeat(chunks[:4], random.Random(1))
        await arena.jobs_ended(PATIENCE_S)
        assert "I2" in await broken_promises(arena)


async def test_completeness_that_counts_duplicates_is_found(tmp_path) -> None:
    async with broken(tmp_path, "assembler", "counting_completeness") as arena:
        await arena.submit(LONG)
        await seen(arena, SegmentReady, 2)
        # Nothing more is painted while what there is gets announced again and again.
        arena.pool_signal(signal.SIGSTOP)
        await seen(arena, SplitCompleted, 1)
        announced = [e for e in arena.recorder.events if isinstance(e.message, SegmentReady)]
        await arena.repeat(announced * 10, random.Random(1))
        await arena.jobs_ended(PATIENCE_S)
        arena.pool_signal(signal.SIGCONT)
        assert await broken_promises(arena) & {"I3", "END"}


async def seen(arena: Arena, kind: type, count: int) -> None:
    """Wait until so many events of a kind are in the hubs."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(isinstance(e.message, kind) for e in arena.recorder.events) < count:
            await arena.recorder.progress()
