"""The same work is done by one task at a time."""

from __future__ import annotations

import asyncio

from shared.hubs.workers import OneAtATime


async def test_the_second_of_two_equal_pieces_of_work_waits_for_the_first() -> None:
    same, order = OneAtATime(), []
    entered = asyncio.Event()
    leave = asyncio.Event()

    async def first() -> None:
        async with same.of("job"):
            entered.set()
            await leave.wait()
            order.append("first")

    async def second() -> None:
        async with same.of("job"):
            order.append("second")

    tasks = [asyncio.create_task(first())]
    await entered.wait()
    tasks.append(asyncio.create_task(second()))
    async with same.of("another job"):
        order.append("another")
    leave.set()
    await asyncio.gather(*tasks)
    assert order == ["another", "first", "second"]


async def test_nothing_is_remembered_of_work_that_is_over_also_when_it_failed() -> None:
    same = OneAtATime()
    for _ in range(3):
        try:
            async with same.of("job"):
                raise ValueError
        except ValueError:
            pass
    assert same._locks == {}
