"""The command ``stylestream``: reads its arguments and hands over to `cli.commands`.

Exit codes: 0 done; 1 a job failed, its cause on stderr; 2 wrong usage or configuration, all
problems named at once; 130 interrupted. Results go to stdout, progress to stderr on a terminal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

from cli.command_line import build_parser
from cli.parser import USAGE_ERROR
from shared.contracts.errors import ConfigurationError, StylestreamError

INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    arguments = build_parser().parse_args(argv)
    # It tells at length of every way to sign in that failed; the sentence at the end suffices.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    try:
        module, _, function = arguments.command.partition(":")
        command = getattr(import_module(f"cli.commands.{module}"), function)
        sys.exit(asyncio.run(command(arguments)))
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"stylestream: {problem}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except StylestreamError as error:
        print(f"stylestream: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stylestream: interrupted; everything it started is stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except PermissionError as error:
        print(f"stylestream: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except BrokenPipeError:
        # The reader of stdout has left; flushing what is left at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
