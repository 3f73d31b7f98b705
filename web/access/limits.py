"""Limits each caller's rate of requests, so that one person cannot occupy the studio."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from web.problems import Problem

_PER_S: Final = 200.0
_AT_ONCE: Final = 1000.0
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float


class Limits:
    """An allowance of requests for each caller, which refills with time."""

    def __init__(self, per_s: float = _PER_S, at_once: float = _AT_ONCE) -> None:
        self._per_s = per_s
        self._at_once = at_once
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def spend(self, caller: str) -> None:
        """Count one request.

        Raises:
            Problem: the caller has sent too many requests (429).
        """
        now = time.monotonic()
        one = self._allowances.setdefault(caller, _Allowance(self._at_once, now))
        self._allowances.move_to_end(caller)
        if len(self._allowances) > _REMEMBERED:
            self._allowances.popitem(last=False)
        one.left = min(self._at_once, one.left + (now - one.at) * self._per_s)
        one.at = now
        if one.left < 1:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many requests: try again in a moment",
                {"Retry-After": "1"},
            )
        one.left -= 1
