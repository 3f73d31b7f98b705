"""Run the check: ``python -m bench.gpu``, or scripts/check-gpu."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from bench.gpu.plan import ENGINES, LIMITS_S, Clock
from bench.gpu.report import Report
from shared.forks.endings import signal_name

BOX_S: Final = 360.0

_GRACE_S: Final = 5.0
"""So long after its limit a step is killed; it ends by itself if it can."""

_STEP: Final = (sys.executable, "-P", "-m", "bench.gpu.step")


def main() -> int:
    """Run every step that fits into the time limit; return 0 if none failed."""
    arguments = _parser().parse_args()
    clock = Clock(arguments.box)
    report = Report(arguments.out, rehearsed=arguments.rehearse)
    for name, most in LIMITS_S.items():
        if name in arguments.skip:
            report.skip(name, "left out by --skip")
        elif not clock.left():
            report.skip(name, f"the {arguments.box:g} s are over")
        else:
            plan = ["--rehearse"] if arguments.rehearse else ["--engine", arguments.engine]
            limit_s = min(most, clock.left())
            print(f"check-gpu: {name}, at most {limit_s:.0f} s", file=sys.stderr, flush=True)
            run_step(name, (*_STEP, name, str(limit_s), *plan), limit_s, report)
    print(report.markdown())
    return 1 if report.failed else 0


def run_step(name: str, command: Sequence[str], limit_s: float, report: Report) -> None:
    """Run a step's command, see `bench.gpu.step`, and record its results as they come."""
    # With a session and temporary files of its own, so that nothing is left of one that is killed.
    with (
        tempfile.TemporaryDirectory(prefix="check-gpu-", ignore_cleanup_errors=True) as folder,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "TMPDIR": folder},
        ) as step,
    ):
        assert step.stdout is not None
        overdue = threading.Event()

        def end() -> None:
            overdue.set()
            _kill(step)

        box = threading.Timer(limit_s + _GRACE_S, end)
        box.start()
        try:
            told = _read(name, step.stdout, report)
            code = step.wait()
        finally:
            box.cancel()
            _kill(step)
    if overdue.is_set():
        report.fail(name, f"it did not end within {limit_s:.0f} s, and was killed")
    elif code < 0:
        report.fail(name, f"its process ended with {signal_name(-code)}")
    elif code and not told:
        report.fail(name, f"its process ended with exit code {code}")


def _read(name: str, lines: IO[bytes], report: Report) -> bool:
    """Record what a step tells; return whether it said why it ended early."""
    told = False
    for line in lines:
        if not line.endswith(b"\n"):  # of a step that was killed
            break
        result = json.loads(line)
        if "row" in result:
            report.add(name, result["row"])
        elif "skip" in result:
            report.skip(name, result["skip"])
        else:
            report.fail(name, result["fail"])
        told = told or "row" not in result
    return told


def _kill(step: subprocess.Popen[bytes]) -> None:
    """Kill a step with everything that it has started."""
    try:
        os.killpg(step.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/check-gpu", description="Check a machine's GPU.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the results")
    parser.add_argument("--engine", choices=ENGINES, default="cuda", help="default: %(default)s")
    parser.add_argument("--rehearse", action="store_true", help="on the processor, tiny sizes")
    parser.add_argument("--skip", action="append", default=[], choices=list(LIMITS_S))
    parser.add_argument("--box", type=float, default=BOX_S, metavar="SECONDS", help="%(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
