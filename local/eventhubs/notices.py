"""Log lines about clients, for the operator: a few a minute, however many clients there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LOGGER: Final = logging.getLogger(__name__)
_INTERVAL_S: Final = 60.0
_LINES: Final = 10  # of one kind in an interval


@dataclass(slots=True)
class _Interval:
    start_s: float
    lines: int = 0
    left_out: int = 0


class Notices:
    """Logs the first lines of each kind in a minute, and then how many were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._intervals: dict[str, _Interval] = {}

    def warn(self, kind: str, text: str) -> None:
        """Log a warning, unless there were many of its ``kind`` within a minute."""
        now_s = self._clock()
        interval = self._intervals.setdefault(kind, _Interval(now_s))
        if now_s - interval.start_s >= _INTERVAL_S:
            if interval.left_out:
                text = f"{text} ({interval.left_out} more lines on {kind} were left out)"
            interval = self._intervals[kind] = _Interval(now_s)
        if interval.lines < _LINES:
            interval.lines += 1
            _LOGGER.warning("%s", text)
        else:
            interval.left_out += 1
