"""Lanes: as many at once as there are cores, and as memory allows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.service.health import Health
from stylizer.attempts.lanes import Lanes
from stylizer.painting.memory import available

pytestmark = pytest.mark.asyncio


async def entered(lanes: Lanes, needed: int) -> AsyncExitStack | None:
    """Hold a lane; None when none is free."""
    stack = AsyncExitStack()
    held = asyncio.create_task(stack.enter_async_context(lanes.free(needed)))
    for _ in range(5):
        await asyncio.sleep(0)  # whoever can go on goes on
    if held.done():
        return stack
    held.cancel()
    return None


async def test_pieces_that_fit_into_memory_run_at_once_and_larger_ones_alone() -> None:
    lanes = Lanes(4, 60, Health(), memory=100)
    small, medium = await entered(lanes, 30), await entered(lanes, 60)
    assert small
    assert medium
    assert await entered(lanes, 20) is None
    await medium.aclose()
    assert await entered(lanes, 500) is None
    await small.aclose()
    alone = await entered(lanes, 500)
    assert alone
    assert await entered(lanes, 1) is None
    await alone.aclose()
    assert await entered(lanes, 1)


async def test_small_pieces_do_not_pass_a_large_one_that_waits() -> None:
    lanes = Lanes(4, 60, Health(), memory=100)
    order: list[int] = []

    async def run(needed: int) -> None:
        async with lanes.free(needed):
            order.append(needed)

    first = await entered(lanes, 30)
    assert first
    waiting = [asyncio.create_task(run(90)), asyncio.create_task(run(10))]
    await asyncio.sleep(0)
    await first.aclose()
    await asyncio.gather(*waiting)
    assert order == [90, 10]


async def test_a_containers_limit_counts_where_it_is_below_the_machines(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{2000 << 20}\n")
    assert available((limit,)) == 1188 << 20
    limit.write_text("max\n")
    assert available((limit, tmp_path / "absent")) == available(())
