"""What services are started as: which settings, which version, and what clock they go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from chaos.settings import OTHER_SETTINGS
from local.children import python
from local.processes import Command, Supervised

_FAKETIME: Final = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
"""Where Linux distributions put libfaketime."""


@dataclass
class Release:
    """Holds for each process from its next start on that `apply` was called before."""

    other_settings: bool = False
    """Whether `OTHER_SETTINGS` are rolled out."""
    styles: Path | None = None
    """A folder of updated styles, if they are rolled out."""
    newer: bool = False
    """Whether `chaos.newer` is."""
    clocks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """What the environment says of a wrong clock, by process."""
    _usual: dict[str, Command] = field(default_factory=dict)

    def apply(self, process: Supervised) -> None:
        """Let a process start so the next time."""
        usual = self._usual.setdefault(process.name, process.command)
        process.command = replace(
            usual,
            argv=python("chaos.newer", usual.argv[-1]) if self.newer else usual.argv,
            environment={
                **usual.environment,
                **(OTHER_SETTINGS if self.other_settings else {}),
                **({"STYLES_DIR": str(self.styles)} if self.styles else {}),
                **self.clocks.get(process.name, {}),
            },
        )

    async def reach(self, processes: Sequence[Supervised]) -> None:
        """Let processes that have just started be of this release, too."""
        for process in processes:
            usual = process.command
            self.apply(process)
            if process.command != usual:
                await process.stop()
                await process.start()


def wrong_clock(seconds: int) -> Mapping[str, str] | None:
    """Return the environment in which a clock is wrong by so much; None without libfaketime."""
    found = [str(path) for place in _FAKETIME for path in Path("/").glob(place[1:])]
    if not found:
        return None
    return {
        "LD_PRELOAD": found[0],
        "FAKETIME": f"{seconds:+d}s",
        # Timeouts and pauses go by the other clock, which no operator can put wrong.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
