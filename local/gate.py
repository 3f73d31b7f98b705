"""A gate at which services wait, loaded and ready to run, until what they need is there.

Loading a service takes as long as starting the broker and the storage, so both begin at once:
`python -m local.gate GATE SERVICE` loads the package of a service, and runs it as soon as the
supervisor releases its lock on the file ``GATE``. Later starts find the gate open.
"""

from __future__ import annotations

import fcntl
import runpy
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Final

from local.children import python

FILE: Final = "gate"


class Gate:
    """The supervisor's side of a gate in ``directory``: shut until `open`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._held = ExitStack()
        file = self._held.enter_context(self._path.open("w"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def open(self) -> None:
        """Open the gate for good. Idempotent."""
        self._held.close()

    def before(self, module: str) -> tuple[str, ...]:
        """Return the command that runs the service ``module`` behind the gate."""
        return python("local.gate", str(self._path), module)


def main() -> None:
    """Load a service, wait, and run it as ``python -m SERVICE`` does."""
    gate, module = sys.argv[1:]
    import_module(f"{module}.service")
    with Path(gate).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    sys.argv[1:] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
