"""A partition goes on for all others if one of those who publish or read there fails."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.eventhubs import Retention
from local.eventhubs.hub import Partition

PATIENCE_S = 60.0


def fail(*_: object) -> None:
    raise RuntimeError("broken")


async def test_a_publisher_or_a_reader_that_fails_holds_up_no_other(tmp_path: Path) -> None:
    stored, woken = asyncio.Event(), [asyncio.Event() for _ in range(4)]
    with ThreadPoolExecutor(1) as pool:
        partition = Partition("frames/0", tmp_path, Retention(), pool)
        for wake in (fail, *(each.set for each in woken)):
            partition.when_more(wake)
        partition.publish([b"first"], None, fail)
        partition.publish([b"second"], None, fail)
        partition.publish([b"third"], None, lambda _: stored.set())
        async with asyncio.timeout(PATIENCE_S):
            for each in (*woken, stored):
                await each.wait()
        await partition.flush()
        partition.close()
