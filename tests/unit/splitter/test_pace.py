"""A split stays a window ahead of the painting, and is never blocked for good."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from splitter.metrics import SplitterMetrics
from splitter.pace import Pace


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def pace(registry: CollectorRegistry, window: int, patience_s: float = 3600) -> Pace:
    return Pace(window, patience_s, SplitterMetrics(registry))


async def ship(pace: Pace, chunks: int) -> None:
    for _ in range(chunks):
        await pace.ship(asyncio.Event().wait)


async def test_a_window_of_chunks_goes_out_at_once_and_the_rest_follows_the_painting(
    registry: CollectorRegistry,
) -> None:
    held = pace(registry, 4)
    shipping = asyncio.create_task(ship(held, 10))
    for painted in (0, 1, 3, 6):
        held.update_painted(painted)
        while held.outstanding < 4:
            await asyncio.sleep(0)
        assert not shipping.done() or painted == 6
        assert registry.get_sample_value("splitter_outstanding_chunks") == 4
    await shipping


async def test_an_assembler_that_restarts_its_count_does_not_close_the_window(
    registry: CollectorRegistry,
) -> None:
    held = pace(registry, 2)
    await ship(held, 2)
    held.update_painted(2)
    held.update_painted(0)
    await ship(held, 2)
    assert held.outstanding == 2


async def test_a_window_that_does_not_move_lets_one_chunk_after_another_through(
    registry: CollectorRegistry,
) -> None:
    held = pace(registry, 1, patience_s=0.01)
    await ship(held, 4)
    assert held.outstanding == 4
    waits = registry.get_sample_value("splitter_paced_seconds_sum")
    assert waits is not None
    assert waits >= 0.03


async def test_a_split_that_ends_leaves_nothing_outstanding_in_the_metrics(
    registry: CollectorRegistry,
) -> None:
    held = pace(registry, 8)
    await ship(held, 5)
    held.update_painted(2)
    held.end()
    assert registry.get_sample_value("splitter_outstanding_chunks") == 0
