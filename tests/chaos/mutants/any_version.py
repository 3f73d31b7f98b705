"""An assembler that accepts segments painted in any version of a style."""

from __future__ import annotations

import runpy

from assembler.agreement import Agreement

Agreement.version = property(lambda _: "")  # type: ignore[assignment, method-assign]

runpy.run_module("assembler", run_name="__main__")
