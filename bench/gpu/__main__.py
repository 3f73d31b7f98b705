"""Run the check: ``python -m bench.gpu``, or scripts/check-gpu."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.gpu.plan import FULL, REHEARSAL, Clock, Plan, SkippedError
from bench.gpu.report import Report

BOX_S: Final = 360.0

Step = Callable[[Plan, Clock], Iterator[dict[str, Any]]]


def main() -> int:
    """Run every step that fits into the time limit; return 0 if none failed."""
    arguments = _parser().parse_args()
    plan = REHEARSAL if arguments.rehearse else FULL
    clock = Clock(arguments.box)
    report = Report(arguments.out, rehearsed=arguments.rehearse)
    # A hanging call into a driver cannot be interrupted; results so far are already written.
    box = threading.Timer(arguments.box + 5, _close_box, [report])
    box.daemon = True
    box.start()
    for name, step in _STEPS.items():
        if name in arguments.skip:
            report.skip(name, "left out by --skip")
        elif not clock.left():
            report.skip(name, f"the {arguments.box:g} s are over")
        else:
            _make(name, step, plan, clock, report)
    box.cancel()
    print(report.markdown())
    return 1 if report.failed else 0


def _make(name: str, step: Step, plan: Plan, clock: Clock, report: Report) -> None:
    print(f"check-gpu: {name}, {clock.left():.0f} s left", file=sys.stderr, flush=True)
    try:
        for row in step(plan, clock):
            report.add(name, row)
    except SkippedError as why:
        report.skip(name, str(why))
    except ImportError as error:
        report.skip(name, f"the package {error.name} is missing")
    except Exception as error:  # the other steps run whatever happens
        report.fail(name, f"{type(error).__name__}: {error}")


def _close_box(report: Report) -> None:
    report.fail("box", "a step did not come back in time")
    print(report.markdown(), flush=True)
    os._exit(1)


def _facts(_plan: Plan, _clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.gpu.machine import facts

    for fact, value in facts().items():
        yield {"fact": fact, "value": value if isinstance(value, str) else json.dumps(value)}


def _painting(function: str) -> Step:
    def step(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
        from bench.gpu import painting

        rows: Iterator[dict[str, Any]] = getattr(painting, function)(plan, clock)
        yield from rows

    return step


def _codecs(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.gpu.codecs import codec_speed

    yield from codec_speed(plan, clock)


def _stack(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.pipeline import Case, measure

    case = Case(*plan.stack_size, plan.stack_frames)
    painting = measure([case], plan.style, 1, {"ENGINE": plan.engine})
    try:
        whole = asyncio.run(asyncio.wait_for(painting, clock.left()))
    except TimeoutError:
        raise SkippedError("the job did not end within the time that was left") from None
    figures = asdict(whole.jobs[0]) | {"start_s": whole.start_s, "stop_s": whole.stop_s}
    for figure, value in figures.items():
        yield {"figure": figure, "value": json.dumps(value)}


_STEPS: Final[dict[str, Step]] = {
    "facts": _facts,
    "starts": _painting("starts"),
    "faults": _painting("faults"),
    "codecs": _codecs,
    "path": _painting("path_speed"),
    "stack": _stack,
    "engine": _painting("engine_speed"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/check-gpu", description="Check a machine's GPU.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the results")
    parser.add_argument("--rehearse", action="store_true", help="on the processor, tiny sizes")
    parser.add_argument("--skip", action="append", default=[], choices=list(_STEPS))
    parser.add_argument("--box", type=float, default=BOX_S, metavar="SECONDS", help="%(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
