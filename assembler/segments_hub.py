"""The hub of segments as the assembler sees it: a publisher, and how far it was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.hubs.publisher import Publisher

CaughtUp = Callable[[str | None], Awaitable[bool]]
"""Returns whether everything in a partition of the hub was read and noted."""


@dataclass(frozen=True, slots=True)
class SegmentsHub:
    """What the assembler needs of the hub, apart from its events."""

    publisher: Publisher
    caught_up: CaughtUp
