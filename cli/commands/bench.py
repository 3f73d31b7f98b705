"""The command ``stylestream bench``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import asdict
from shlex import quote

from bench.report import table
from bench.suite import Wanted, measure
from cli.commands.common import engine_environment, find_engine_problems, refuse
from cli.results import find_unwritable_file
from local.defaults import DEFAULT_STYLE, gallery
from shared.contracts.errors import StyleError
from shared.telemetry import logs


async def bench(arguments: Namespace) -> int:
    """Measure, print JSON or tables, and write the tables to ``--markdown``."""
    refuse(_problems(arguments))
    logs.configure("WARNING", "console", "bench")
    figures = await measure(
        Wanted(
            arguments.suite,
            arguments.frames,
            arguments.style,
            arguments.stylizers,
            arguments.engine,
            engine_environment(arguments.engine),
        ),
        lambda what: print(f"measuring {what} ...", file=sys.stderr, flush=True),
    )
    print(json.dumps(asdict(figures)) if arguments.json else table(figures))
    if arguments.markdown:
        arguments.markdown.write_text(
            f"# Performance\n\nMeasured by `{_command(arguments)}`.\n\n{table(figures)}\n",
            encoding="utf-8",
        )
    return 0


def _problems(arguments: Namespace) -> list[str]:
    problems = find_unwritable_file(f"--markdown {arguments.markdown}", arguments.markdown)
    problems += find_engine_problems(arguments.engine)
    try:
        gallery().find(arguments.style)
    except StyleError as error:
        problems.append(error.message)
    return problems


def _command(arguments: Namespace) -> str:
    """Return the command that repeats the measurement."""
    words = [f"stylestream bench --frames {arguments.frames}"]
    if arguments.style != DEFAULT_STYLE:
        words.append(f"--style {arguments.style}")
    if arguments.suite != "quick":
        words.append(f"--suite {arguments.suite}")
    if arguments.stylizers > 1:
        words.append(f"--stylizers {arguments.stylizers}")
    if arguments.engine is not None:
        words.append(f"--engine {arguments.engine}")
    return " ".join([*words, f"--markdown {quote(str(arguments.markdown))}"])
