"""Shows the progress of jobs on stderr: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.meter import Meter
from cli.screen import clock, encodable, fit, lines
from cli.suspension import drawn
from shared.contracts.status import SplitProgress, Status
from shared.telemetry.escapes import escaped

STEP_PERCENT: Final = 10
"""Without a terminal, a job gets a plain line whenever this much more of it is painted."""

REFRESHES_PER_SECOND: Final = 4


class JobProgress:
    """Shows jobs while its context is open; ``quiet`` shows nothing.

    On a terminal each job has one line, which its report replaces as soon as it has ended.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._quiet = quiet
        self._meters: list[Meter] = []
        self._steps: dict[int, int] = {}
        self._failed = 0
        self._note = ""
        self.explain_waiting: Callable[[], str] = lambda: ""
        """Returns a sentence about why jobs have to wait, if anything is known about it."""
        self._live = Live(
            get_renderable=self._screen,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )
        self._drawing = ExitStack()

    @property
    def is_live(self) -> bool:
        """Whether somebody may be watching a terminal."""
        return self._console.is_terminal and not self._console.is_dumb_terminal and not self._quiet

    def __enter__(self) -> Self:
        if self.is_live:
            self._drawing.enter_context(drawn(self._live))
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._drawing.close()

    def say(self, text: str) -> None:
        """Print a line, above any live lines."""
        if not self._quiet:
            self._console.print(Text(escaped(text)), soft_wrap=True)

    @contextmanager
    def starting(self, what: str) -> Iterator[Callable[[list[str]], None]]:
        """Show that something starts; the yielded function shows the names that it waits for."""

        def wait(names: list[str]) -> None:
            self._note = f"{what}: waiting for {', '.join(names)} ..." if names else ""

        began = time.monotonic()
        if not self.is_live:
            self.say(f"{what} ...")
        self._note = f"{what} ..."
        try:
            yield wait
        finally:
            self._note = ""
        self.say(f"ready after {time.monotonic() - began:.1f} s")

    def add(self, name: str, expected: int | None = None) -> Meter:
        """Add a job; ``expected`` is its number of frames according to the file."""
        meter = Meter(name, expected)
        self._meters.append(meter)
        return meter

    def show(self, meter: Meter, status: Status | None, split: SplitProgress | None) -> None:
        """Update a job."""
        had_begun, waited_for = meter.begun, meter.waiting_for
        meter.update(status, split, time.monotonic())
        self._failed += meter.ended and meter.stage in {"failed", "cancelled"}
        if not self.is_live:
            self._tell_plainly(meter, begins=meter.begun and not had_begun)
        if meter.waiting_for not in {None, waited_for}:
            why = self.explain_waiting()
            self.say(f"{meter.name}: waiting for {meter.waiting_for}{why and f' ({why})'}")

    def report(self, text: str) -> None:
        """Print a line to stdout; on a terminal that is above the live lines."""
        if self.is_live and sys.stdout.isatty():
            self._console.print(Text(text), soft_wrap=True)
        else:
            print(text, flush=True)

    def _tell_plainly(self, meter: Meter, *, begins: bool) -> None:
        if begins:
            self.say(f"{meter.name}: started")
        percent = meter.percent
        if percent is None or meter.ended:
            return
        step = percent // STEP_PERCENT
        if step > self._steps.get(id(meter), 0):
            self._steps[id(meter)] = step
            speed, left = meter.frames_per_second, meter.seconds_left
            pace = "" if speed is None else f", {speed:.1f} frames/s"
            rest = "" if left is None else f", {clock(left)} left"
            self.say(
                f"{meter.name}: {percent}%, {meter.painted} of {meter.total} frames{pace}{rest}"
            )

    def _screen(self) -> Text:
        size = self._console.size
        shown = lines(self._meters, self._failed, size.width, size.height) if self._meters else []
        if self._note:
            shown.append(fit(self._note, size.width))
        text = encodable("\n".join(shown), self._console.encoding)
        return Text(text, no_wrap=True, overflow="crop")
