"""Does run after run, on stack after stack, for as long as asked."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chaos.arena import Arena
from chaos.faults import Committed, Saboteur
from chaos.figures import Figures
from chaos.history import Clip
from chaos.plan import Kind, deal
from chaos.promises import Violation, check
from chaos.run import Outcome, calm_run, chaos_run, verdict
from chaos.settings import STYLES
from shared.contracts.errors import StylestreamError

STACK_S: Final = 300.0
"""A stack is replaced about this often, so that starts and stops are tested, too."""

_ASSEMBLERS: Final = 2
_SPLITTERS: Final = 2
"""So that jobs and uploads change hands when one of them dies, freezes, or comes back."""

_UPLOADS: Final = (2, 2, 3, 5)
"""Videos per run; five are more than all splitters have slots for."""


@dataclass
class Findings:
    """The results of a campaign."""

    seed: int
    seconds: float = 0.0
    runs: int = 0
    stacks: int = 0
    unsettled: list[int] = field(default_factory=list)
    """Seeds of runs after which something was still left to do."""
    unjudged: list[int] = field(default_factory=list)
    """Seeds of the last runs of stacks that could not be inspected at their end."""
    faults: Counter[Kind] = field(default_factory=Counter)
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    """The run's seed, and what was violated."""
    figures: Figures = field(default_factory=Figures)

    @property
    def troubles(self) -> int:
        """The number of findings that are worth investigating."""
        return len(self.violations) + len(self.unsettled) + len(self.unjudged)


async def campaign(
    minutes: float,
    seed: int,
    tell: Callable[[str], None],
    keep: Path | None,
    note: Callable[[Findings], None],
    *,
    only: Sequence[Kind],
) -> Findings:
    """Do runs until the time is over; the n-th run's seed is ``seed + n``.

    Everything about a run follows from its seed, so a campaign of 0 minutes that starts with a seed
    repeats that run alone. ``keep`` is a folder for the logs of stacks whose runs broke a promise.
    ``note`` is called after every stack with the findings so far. With ``only``, every run commits
    these faults and no others.
    """
    findings, clips = Findings(seed), dict[str, Clip]()
    began = time.monotonic()
    while not findings.runs or time.monotonic() - began < 60 * minutes:
        with tempfile.TemporaryDirectory(prefix="stylestream-chaos-") as folder:
            before = findings.troubles
            try:
                async with Arena(
                    Path(folder), clips, assemblers=_ASSEMBLERS, splitters=_SPLITTERS
                ) as arena:
                    ends_at = min(time.monotonic() + STACK_S, began + 60 * minutes)
                    await _use_up(arena, findings, ends_at, tell, only)
            except StylestreamError as error:
                if not findings.runs:  # no stack starts here at all
                    raise
                # Hours of other findings matter more than a stack that cannot be inspected.
                findings.unjudged.append(findings.seed + findings.runs)
                findings.runs += 1
                tell(f"the stack could not be judged: {error}")
            if keep is not None and findings.troubles > before:
                _keep_logs(Path(folder), keep / f"stack-{findings.stacks}")
        findings.stacks += 1
        findings.seconds = time.monotonic() - began
        note(findings)
    return findings


async def _use_up(
    arena: Arena,
    findings: Findings,
    ends_at: float,
    tell: Callable[[str], None],
    only: Sequence[Kind],
) -> None:
    """Do runs in one arena until it is time for another."""
    if not arena.clips:
        for _ in range(2):
            _take(findings, await calm_run(arena, styles=STYLES), tell)
            await Saboteur(arena).roll_out("other settings")
        await Saboteur(arena).roll_out("updated styles")
        _take(findings, await calm_run(arena, styles=STYLES), tell)
        await Saboteur(arena).roll_out("updated styles")
    committed: list[Committed] = []
    while True:
        outcome = await _one(arena, findings.seed + findings.runs, only)
        _take(findings, outcome, tell)
        findings.runs += 1
        committed += outcome.faults
        if time.monotonic() >= ends_at or not outcome.settled:
            break
    known = {violation for _, violation in findings.violations}
    late = [v for history in arena.past for v in check(history) if v not in known]
    late += await verdict(arena, known, settled=outcome.settled)
    for violation in late:
        tell(f"  at the end of the stack: {violation}")
    findings.violations += [(findings.seed + findings.runs - 1, v) for v in late]
    for history in (*arena.past, await arena.history()):
        findings.figures += Figures.of(history, committed)


async def _one(arena: Arena, seed: int, only: Sequence[Kind]) -> Outcome:
    rng = random.Random(seed)  # noqa: S311 - a seed must repeat the run
    await arena.scale(rng.choice((2, 3)))
    return await chaos_run(
        arena,
        seed,
        only or deal(seed),
        uploads=rng.choice(_UPLOADS),
    )


def _take(findings: Findings, outcome: Outcome, tell: Callable[[str], None]) -> None:
    findings.faults.update(fault.kind for fault in outcome.faults)
    findings.violations += [(outcome.seed, violation) for violation in outcome.violations]
    if not outcome.settled:
        findings.unsettled.append(outcome.seed)
    kinds = ", ".join(fault.kind for fault in outcome.faults) or "no fault"
    tell(
        f"seed {outcome.seed}: {outcome.seconds:.1f} s, {len(outcome.violations)} violations; "
        f"{kinds}"
    )
    for violation in outcome.violations:
        tell(f"  {violation}")


def _keep_logs(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for log in (folder / "logs").iterdir():
        (to / log.name).write_bytes(log.read_bytes())
