"""Slots go to splits that have work, in the order of their requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from shared.hubs.workers import GivenBack
from splitter.slots import Slots


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Split:
    """Holds a slot until it is called, having nothing to do, or told to leave."""

    def __init__(self, slots: Slots, *, idle: bool, alone: bool = False) -> None:
        self.has_it = False
        self.leave = asyncio.Event()
        self._slots = slots
        self._idle = idle
        self._alone = alone
        self.task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Have it leave, and return when it has."""
        self.leave.set()
        await self.task

    async def _run(self) -> None:
        async with self._slots.hold(alone=self._alone):
            self.has_it = True
            await (self._slots.called() if self._idle else self.leave.wait())
        self.has_it = False


async def test_a_split_that_only_waits_leaves_its_slot_to_another_and_to_no_more_than_one() -> None:
    slots = Slots(3)
    waiting = [Split(slots, idle=True) for _ in range(3)]
    await settle()
    assert [split.has_it for split in waiting] == [True] * 3
    clip = Split(slots, idle=False)
    await settle()
    assert clip.has_it
    assert [split.has_it for split in waiting] == [False, True, True]
    clip.leave.set()
    await settle()
    assert [split.has_it for split in waiting] == [False, True, True]
    slots.drain()
    await asyncio.gather(*(split.task for split in (*waiting, clip)))


async def test_a_split_that_wants_to_be_alone_waits_for_all_and_goes_before_who_comes_later() -> (
    None
):
    slots = Slots(3)
    idle, busy = Split(slots, idle=True), Split(slots, idle=False)
    await settle()
    suspect = Split(slots, idle=False, alone=True)
    clip = Split(slots, idle=False)
    await settle()
    # The third slot and the idle one's are its own by now; it waits for the busy one's
    assert (suspect.has_it, clip.has_it, idle.has_it) == (False, False, False)
    busy.leave.set()
    await settle()
    assert (suspect.has_it, clip.has_it) == (True, False)
    suspect.leave.set()
    await settle()
    assert clip.has_it
    # All slots are there again
    others = [Split(slots, idle=False) for _ in range(2)]
    await settle()
    assert [split.has_it for split in others] == [True] * 2
    for split in (clip, *others):
        split.leave.set()
    await settle()


async def test_a_split_that_wants_to_be_alone_gives_back_what_it_has_when_the_service_leaves() -> (
    None
):
    slots = Slots(2)
    busy = Split(slots, idle=False)
    await settle()
    suspect = Split(slots, idle=False, alone=True)
    await settle()
    slots.drain()
    with pytest.raises(GivenBack):
        await suspect.task
    await busy.end()


async def test_a_split_that_has_something_to_do_keeps_its_slot() -> None:
    slots = Slots(1)
    busy, clip = Split(slots, idle=False), Split(slots, idle=False)
    await settle()
    assert (busy.has_it, clip.has_it) == (True, False)
    busy.leave.set()
    await settle()
    assert clip.has_it
    await clip.end()


async def test_a_split_that_becomes_idle_while_others_wait_is_called_at_once() -> None:
    slots = Slots(1)
    async with slots.hold():
        clip = Split(slots, idle=False)
        await settle()
        await asyncio.wait_for(slots.called(), 60)
    await settle()
    assert clip.has_it
    await clip.end()


async def test_a_slot_is_not_lost_with_whoever_gives_up_waiting_for_it() -> None:
    slots = Slots(1)
    async with slots.hold():
        given_up, next_one = Split(slots, idle=False), Split(slots, idle=False)
        await settle()
        given_up.task.cancel()
        await settle()
    await settle()
    assert next_one.has_it
    await next_one.end()
    async with asyncio.timeout(60), slots.hold():
        pass


async def test_a_service_that_leaves_lends_nothing_and_calls_everybody() -> None:
    slots = Slots(1)
    idle = Split(slots, idle=True)
    await settle()
    slots.drain()
    await idle.task
    late: list[Awaitable[None]] = [Split(slots, idle=False).task for _ in range(2)]
    for result in await asyncio.gather(*late, return_exceptions=True):
        assert isinstance(result, GivenBack)
    with pytest.raises(GivenBack):
        async with slots.hold():
            pass


async def test_a_split_that_has_just_resumed_work_is_not_called() -> None:
    slots = Slots(1)
    async with slots.hold():
        call = asyncio.create_task(slots.called())
        await settle()
        clip = Split(slots, idle=False)
        call.cancel()
        await settle()
        assert not clip.task.done()
        # It is called as soon as it has nothing to do again
        async with asyncio.timeout(60):
            await slots.called()
    await settle()
    assert clip.has_it
    await clip.end()


async def test_a_call_that_comes_too_late_is_made_again() -> None:
    slots = Slots(1)
    async with slots.hold():
        call = asyncio.create_task(slots.called())
        await settle()
        clip = Split(slots, idle=False)
        await asyncio.sleep(0)  # it is called now, and has not heard of it
        call.cancel()
        await settle()
        async with asyncio.timeout(60):
            await slots.called()
    await settle()
    assert clip.has_it
    await clip.end()
