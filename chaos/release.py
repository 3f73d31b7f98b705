"""The release of services: their settings, their version, and their clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from chaos.settings import OTHER_SETTINGS
from local.children import python
from local.processes import Command, Supervised

_FAKETIME: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
"""Where Linux distributions install libfaketime."""


@dataclass
class Release:
    """What is rolled out; takes effect on a process when it starts after `apply`."""

    other_settings: bool = False
    """Whether `OTHER_SETTINGS` are rolled out."""
    styles: Path | None = None
    """A folder of updated styles, if they are rolled out."""
    newer: bool = False
    """Whether `chaos.newer` is rolled out."""
    clocks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """By process: the environment of a wrong clock."""
    _original: dict[str, Command] = field(default_factory=dict)

    def apply(self, process: Supervised) -> None:
        """Change a process's command to this release, for its next start."""
        original = self._original.setdefault(process.name, process.command)
        process.command = replace(
            original,
            argv=python("chaos.newer", original.argv[-1]) if self.newer else original.argv,
            environment={
                **original.environment,
                **(OTHER_SETTINGS if self.other_settings else {}),
                **({"STYLES_DIR": str(self.styles)} if self.styles else {}),
                **self.clocks.get(process.name, {}),
            },
        )

    async def reach(self, processes: Sequence[Supervised]) -> None:
        """Bring processes that have just started to this release, too."""
        for process in processes:
            original = process.command
            self.apply(process)
            if process.command != original:
                await process.stop()
                await process.start()


def wrong_clock(seconds: int) -> Mapping[str, str] | None:
    """Return the environment that sets a clock wrong by ``seconds``; None without libfaketime."""
    found = [str(path) for place in _FAKETIME for path in Path("/").glob(place[1:])]
    if not found:
        return None
    return {
        "LD_PRELOAD": found[0],
        "FAKETIME": f"{seconds:+d}s",
        # Timeouts and pauses use the monotonic clock, which operators cannot set wrong.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
