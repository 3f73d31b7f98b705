"""The command ``stylestream``: reads its arguments and hands over to `local.commands`.

Exit codes: 0 done; 1 a job failed, its cause on stderr; 2 wrong usage or configuration, all
problems named at once; 130 interrupted. Results go to stdout, progress to stderr on a terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from local.defaults import DEFAULT_STYLE, default_dir
from shared.errors import ConfigurationError, StylestreamError

USAGE: Final = 2
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    arguments = _parser().parse_args(argv)
    try:
        module, _, function = arguments.command.partition(":")
        command = getattr(import_module(f"local.commands.{module}"), function)
        sys.exit(asyncio.run(command(arguments)))
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"stylestream: {problem}", file=sys.stderr)
        sys.exit(USAGE)
    except StylestreamError as error:
        print(f"stylestream: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stylestream: interrupted; everything it started is stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout has left; flushing what is left at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stylestream",
        description="Repaint videos in the style of a picture: every frame, exact timestamps, "
        "original sound.",
    )
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands_.add_parser("run", help="repaint videos on this machine, from start to end")
    run.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="default: a sample clip")
    _add_request(run)
    run.add_argument("-o", "--output", type=Path, help="result file, or folder for several videos")
    run.add_argument(
        "--dir", type=Path, help="folder to keep the stack in; default: a temporary one"
    )
    _add_stylizers(run)
    _add_json(run)
    run.set_defaults(command="run:run")

    up = commands_.add_parser("up", help="keep a stack running on this machine until Ctrl-C")
    up.add_argument("--dir", type=Path, default=default_dir(), help="default: %(default)s")
    _add_stylizers(up)
    up.set_defaults(command="run:up")

    submit = commands_.add_parser("submit", help="give a video to a running stack, or to Azure")
    submit.add_argument("video", type=Path, metavar="VIDEO")
    _add_request(submit)
    submit.add_argument("--wait", action="store_true", help="stay until the job has ended")
    _add_dir(submit)
    _add_json(submit)
    submit.set_defaults(command="jobs:submit")

    status = commands_.add_parser("status", help="tell about one job, or about all")
    status.add_argument("job", nargs="?", metavar="JOB")
    _add_dir(status)
    _add_json(status)
    status.set_defaults(command="jobs:status")

    fetch = commands_.add_parser("fetch", help="download a job's result")
    fetch.add_argument("job", metavar="JOB")
    fetch.add_argument("-o", "--output", type=Path, required=True, help="file, or folder")
    _add_dir(fetch)
    fetch.set_defaults(command="jobs:fetch")

    styles = commands_.add_parser("styles", help="list the styles")
    _add_json(styles)
    styles.set_defaults(command="catalogue:styles")

    config = commands_.add_parser("config", help="print the settings in effect, secrets masked")
    config.add_argument("service", nargs="?", choices=["splitter", "stylizer", "assembler"])
    config.set_defaults(command="catalogue:config")

    measure = commands_.add_parser(
        "bench", help="measure this machine: the network, and the pipeline"
    )
    measure.add_argument("--frames", type=int, default=720, help="length of the clip (default 720)")
    measure.add_argument("--style", default=DEFAULT_STYLE)
    measure.add_argument("--markdown", type=Path, help="also write the tables into this file")
    _add_stylizers(measure)
    _add_json(measure)
    measure.set_defaults(command="bench:bench")
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--style", default=DEFAULT_STYLE, help="default: %(default)s")
    parser.add_argument("--max-side", type=int, metavar="PIXELS", help="scale larger pictures down")


def _add_stylizers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stylizers", type=_count, default=1, metavar="N", help="default: 1")


def _add_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        help="folder of the running stack; default: storage named by the environment, "
        f"else {default_dir()}",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a job on stdout")


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 32:  # noqa: PLR2004 - as many as Standard has partitions
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 32")
    return int(text)
