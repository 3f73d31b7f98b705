"""One run: uploads, faults at their steps, waiting for everything to end, and the verdict."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chaos.arena import Arena
from chaos.clips import CLIPS, ClipPlan, wanted
from chaos.faults import Committed, Saboteur
from chaos.plan import BEFORE_UPLOADS, Fault, Kind, plan_faults
from chaos.promises import Violation, check
from chaos.settings import STYLES
from shared.contracts.errors import StylestreamError
from shared.tasks.waits import first_of

_JUDGED_WHEN_IDLE: Final = frozenset({"I5", "TIDY"})
"""Promises that cannot be judged while there is something left to do."""

_PATIENCE_S: Final = 150.0
_HEALED_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run."""

    seed: int
    faults: tuple[Committed, ...]
    violations: tuple[Violation, ...]
    seconds: float
    """From the first upload until nothing was left to do."""
    settled: bool


PlannedUpload = tuple[ClipPlan, str]
"""A clip and the style to paint it in."""


async def calm_run(
    arena: Arena, clips: Sequence[ClipPlan] = CLIPS, styles: Sequence[str] = STYLES[:1]
) -> Outcome:
    """Upload every clip in every style without any fault.

    The results become the references of later runs.
    """
    planned_uploads = [(clip, style) for clip in clips for style in styles]
    outcome = await _run(arena, 0, planned_uploads, (), patience_s=300.0)
    await arena.take_references()
    return outcome


async def chaos_run(
    arena: Arena,
    seed: int,
    kinds: Sequence[Kind],
    *,
    clips: Sequence[ClipPlan] = CLIPS,
    uploads: int = 2,
    patience_s: float = _PATIENCE_S,
) -> Outcome:
    """Upload clips and commit a fault of each of the given kinds, all drawn from ``seed``."""
    rng = random.Random(seed)  # noqa: S311 - a seed must repeat the run
    chosen = [*rng.sample(clips, min(2, len(clips))), *rng.choices(clips, k=uploads - 2)]
    # About twice as many as the clips have chunks: the splitter and the pool write each once.
    steps = sum(2 * clip.frames // 8 for clip in chosen)
    plan = plan_faults(seed, steps, kinds)
    # A result can only be compared if the same was painted once without faults.
    planned_uploads = [
        (c, rng.choice([s for s in STYLES if wanted(c.name, s) in arena.clips])) for c in chosen
    ]
    return await _run(arena, seed, planned_uploads, plan, patience_s)


async def _run(
    arena: Arena,
    seed: int,
    planned_uploads: Sequence[PlannedUpload],
    plan: Sequence[Fault],
    patience_s: float,
) -> Outcome:
    saboteur, first_step = Saboteur(arena), arena.recorder.steps
    before = [fault for fault in plan if fault.kind in BEFORE_UPLOADS]
    during = [fault for fault in plan if fault not in before]
    committed = [await saboteur.commit(fault) for fault in before]
    known = set(check(await arena.history()))
    began = time.monotonic()
    jobs_ended = asyncio.Event()

    async def commit(fault: Fault) -> Committed:
        # A fault whose step is never reached, such as after a job that fails early, strikes the
        # idle pipeline.
        await first_of(arena.recorder.reach(first_step + fault.step), jobs_ended.wait())
        try:
            async with asyncio.timeout(_HEALED_S):
                return await saboteur.commit(fault)
        except TimeoutError:
            raise StylestreamError(f'"{fault.kind}" was not healed in {_HEALED_S:g} s') from None

    committing = [asyncio.create_task(commit(fault)) for fault in during]
    try:
        for clip, style in planned_uploads:
            await arena.submit(clip, style)
        await arena.jobs_ended(patience_s)
        jobs_ended.set()
        committed += await asyncio.gather(*committing)
        settled = await arena.settle(patience_s)
    finally:
        for task in committing:
            task.cancel()
        await asyncio.gather(*committing, return_exceptions=True)
    seconds = time.monotonic() - began
    violations = await verdict(arena, known, settled=settled, surely=not settled)
    await arena.rest()
    return Outcome(seed, tuple(committed), tuple(violations), seconds, settled)


async def verdict(
    arena: Arena, known: set[Violation], *, settled: bool, surely: bool = True
) -> list[Violation]:
    """Return the violations that are not ``known``; for ``surely`` see `Arena.history`."""
    violations = await _broken(arena, known, surely=surely)
    if settled and any(v.promise in _JUDGED_WHEN_IDLE for v in violations):
        # Something came late, as on a busy machine, and its consequences are not finished.
        await arena.settle(_PATIENCE_S)
        violations = await _broken(arena, known, surely=True)
    return violations


async def _broken(arena: Arena, known: set[Violation], *, surely: bool) -> list[Violation]:
    return [v for v in check(await arena.history(surely=surely)) if v not in known]
