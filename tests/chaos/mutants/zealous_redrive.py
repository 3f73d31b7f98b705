"""An assembler that also sends finished chunks again."""

from __future__ import annotations

import runpy

from assembler.completeness import Completeness


def _all(self: Completeness) -> list[int]:
    return sorted(self._promised or ())


Completeness.missing = _all  # type: ignore[method-assign]

runpy.run_module("assembler", run_name="__main__")
