"""A stylizer whose checkpoints include the first unfinished event."""

from __future__ import annotations

import runpy
from typing import Any

from shared.hubs.watermark import Watermark

_take = Watermark.take


def _take_one_more(self: Watermark[Any]) -> object:
    reached = _take(self)
    return self._open[0].item if reached is not None and self._open else reached


Watermark.take = _take_one_more  # type: ignore[method-assign]

runpy.run_module("stylizer", run_name="__main__")
