"""One step of the check, in a process of its own: ``python -m bench.gpu.step NAME SECONDS``.

Standard output carries a line of JSON for each result, as soon as it exists: a ``row``, or why the
rest was skipped (``skip``) or failed (``fail``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from bench.gpu.plan import ENGINES, FULL, REHEARSAL, Clock, Plan, SkippedError
from shared.contracts.errors import ConfigurationError
from shared.forks.orphans import end_with_parent
from shared.service.machine import usable_cores

_STACK_FRAMES_A_CORE: Final = 120

Step = Callable[[Plan, Clock], Iterator[dict[str, Any]]]


def main() -> int:
    """Make the step; return 1 if it failed."""
    end_with_parent()
    arguments = _parser().parse_args()
    plan = REHEARSAL if arguments.rehearse else replace(FULL, engine=arguments.engine)
    # Whatever libraries print must stay out of the results.
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(what: str, value: object) -> None:
        print(json.dumps({what: value}, default=str), file=results, flush=True)

    try:
        for row in _STEPS[arguments.step](plan, Clock(arguments.seconds)):
            tell("row", row)
    except SkippedError as why:
        tell("skip", str(why))
    except ImportError as error:
        tell("skip", f"the package {error.name} is missing")
    except ConfigurationError as error:
        tell("fail", "; ".join(error.problems))
        return 1
    except Exception as error:  # it is a result, whatever it is
        tell("fail", f"{type(error).__name__}: {error}")
        return 1
    return 0


def _facts(_plan: Plan, _clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.gpu.machine import facts

    for fact, value in facts():
        yield {
            "fact": fact,
            "value": value if isinstance(value, str) else json.dumps(value, default=str),
        }


def _painting(function: str) -> Step:
    def step(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
        from bench.gpu import painting

        rows: Iterator[dict[str, Any]] = getattr(painting, function)(plan, clock)
        yield from rows

    return step


def _codecs(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.gpu.codecs import codec_rows

    yield from codec_rows(plan, clock)


def _stack(plan: Plan, clock: Clock) -> Iterator[dict[str, Any]]:
    from bench.pipeline import Case, measure
    from local.engines import find_painting_problems

    environment = {"ENGINE": plan.engine}
    if problems := find_painting_problems(environment):
        raise ConfigurationError(problems)
    # Writing the clip and painting it take the processor's time.
    frames = min(plan.stack_frames, _STACK_FRAMES_A_CORE * usable_cores())
    case = Case(*plan.stack_size, frames)
    painting = measure([case], plan.style, 1, environment)
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
    parser = argparse.ArgumentParser("bench.gpu.step")
    parser.add_argument("step", choices=list(_STEPS))
    parser.add_argument("seconds", type=float)
    parser.add_argument("--engine", choices=ENGINES, default=FULL.engine)
    parser.add_argument("--rehearse", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
