"""Periodic work that a service does beside its events, and that never ends unnoticed.

A task that dies does so silently: checkpoints are no longer written, jobs are no longer checked,
and the service seems healthy. So all such work runs in rounds: one that fails is logged and
counted, and the next one follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from shared.tasks.waits import is_cancelled, is_set_within

log = structlog.get_logger()

Errand = Literal[
    "checkpoints",
    "silence",
    "positions",
    "probes",
    "jobs",
    "lingering",
    "recalls",
    "uploads",
    "connections",
]
"""The work that is done in rounds; the label of a metric."""


async def in_rounds(
    errand: Errand,
    every_s: float,
    work: Callable[[], Awaitable[object]],
    failed: Callable[[Errand], None],
    *,
    until: asyncio.Event | None = None,
) -> None:
    """Await ``work`` every ``every_s`` seconds, even if rounds fail.

    If ``until`` is set during a round, returns after it; if during a pause, after one more round.
    ``failed`` is called for every round that raises; ``work`` handles the errors that it foresees.
    """
    leaving = until or asyncio.Event()
    while not leaving.is_set() and not is_cancelled():
        await is_set_within(leaving, every_s)
        try:
            await work()
        except Exception as error:  # unforeseen: the next round may succeed
            failed(errand)
            log.error("background work failed", errand=errand, exc_info=error)
