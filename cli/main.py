"""The command ``stylestream``: parses its arguments and runs one of `cli.commands`.

Exit codes: 0 done; 1 a job failed, with the cause on stderr; 2 wrong usage or configuration, with
all problems on stderr; 3 done, but damaged parts of a video are missing; 130 interrupted.
Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Final, NoReturn

from cli.command_line import build_parser
from cli.interruption import INTERRUPTED, Interrupted, raise_when_interrupted
from cli.parser import USAGE_ERROR
from cli.streams import give_up_stdout, prepare_streams
from local.tasks import cancelled_by_signals
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.telemetry.escapes import escaped

# Kept in messages, because some quote another program's output.
_LINES: Final = "\n"

Command = Callable[[Namespace], Awaitable[int]]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    prepare_streams()
    # Its SDK describes at length each answer and each way to sign in that it can do nothing with;
    # our final sentence suffices.
    logging.getLogger("azure").setLevel(logging.ERROR)
    try:
        arguments = build_parser().parse_args(argv)
        module, _, function = arguments.command.partition(":")
        command = getattr(import_module(f"cli.commands.{module}"), function)
        raise_when_interrupted()
        code = asyncio.run(_run(command, arguments))
        sys.stdout.flush()
        sys.exit(code)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"stylestream: {escaped(problem)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except Interrupted as error:
        print(f"stylestream: interrupted; {error}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except StylestreamError as error:
        print(f"stylestream: {escaped(str(error), keep=_LINES)}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stylestream: interrupted; everything it started is stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        give_up_stdout()
        sys.exit(1)
    except OSError as error:
        said, code = _explain(error)
        print(f"stylestream: {escaped(said)}", file=sys.stderr)
        give_up_stdout()
        sys.exit(code)


async def _run(command: Command, arguments: Namespace) -> int:
    # So that whatever ends a command ends what it has begun, and gives back the terminal.
    with cancelled_by_signals():
        return await command(arguments)


def _explain(error: OSError) -> tuple[str, int]:
    """Return a sentence for an error of the system, and the exit code for it."""
    if error.filename:
        return f"{error.filename}: {error.strerror or error}", USAGE_ERROR
    try:
        os.getcwd()  # noqa: PTH109 - only to see whether it is there
    except FileNotFoundError:
        return "the current folder no longer exists", USAGE_ERROR
    return error.strerror or str(error), 1
