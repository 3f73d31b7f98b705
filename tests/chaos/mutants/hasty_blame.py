"""A stylizer that blames a chunk after the first attempt, whatever ended that."""

from __future__ import annotations

import runpy
from typing import Any

from stylizer.attempts.counter import AttemptCounter

_begin = AttemptCounter.__init__


def _once(self: AttemptCounter, *arguments: Any) -> None:
    _begin(self, *arguments)
    self.limit = 1


AttemptCounter.__init__ = _once  # type: ignore[method-assign]

runpy.run_module("stylizer", run_name="__main__")
