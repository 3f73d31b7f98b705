"""The command ``stylestream``: reads its arguments and hands over to `cli.commands`.

Exit codes: 0 done; 1 a job failed, its cause on stderr; 2 wrong usage or configuration, all
problems named at once; 3 done, but parts of a video were damaged and are missing; 130 interrupted.
Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

from cli.command_line import build_parser
from cli.interruption import INTERRUPTED, Interrupted
from cli.parser import USAGE_ERROR
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.telemetry.escapes import escaped

# Of another program that ours gives the words of.
_LINES: Final = "\n"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    _replace_closed_streams()
    # Names of files may be bytes that are not text: programs want them as they are.
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    # It tells at length of every way to sign in that failed; the sentence at the end suffices.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    try:
        arguments = build_parser().parse_args(argv)
        module, _, function = arguments.command.partition(":")
        command = getattr(import_module(f"cli.commands.{module}"), function)
        code = asyncio.run(command(arguments))
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
        _give_up_stdout()
        sys.exit(1)
    except OSError as error:
        said, code = _explain(error)
        print(f"stylestream: {escaped(said)}", file=sys.stderr)
        _give_up_stdout()
        sys.exit(code)


def _replace_closed_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file that is opened would be taken for it, and ``print`` would take stdout
    for a closed stderr.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _explain(error: OSError) -> tuple[str, int]:
    """Return a sentence about what the system refused, and the exit code for it."""
    if error.filename:
        return f"{error.filename}: {error.strerror or error}", USAGE_ERROR
    try:
        os.getcwd()  # noqa: PTH109 - only to see whether it is there
    except FileNotFoundError:
        return "the current folder no longer exists", USAGE_ERROR
    return error.strerror or str(error), 1


def _give_up_stdout() -> None:
    """Throw away what cannot be written: flushing it at exit must not complain once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
