"""The command ``stylestream``: reads its arguments and hands over to `cli.commands`.

Exit codes: 0 done; 1 a job failed, its cause on stderr; 2 wrong usage or configuration, all
problems named at once; 130 interrupted. Results go to stdout, progress to stderr on a terminal.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from cli.arguments import hours, not_negative, seconds, stylizers, whole
from client.local_stack import default_dir
from local.defaults import DEFAULT_STYLE
from shared.contracts.errors import ConfigurationError, StylestreamError

USAGE: Final = 2
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    arguments = _parser().parse_args(argv)
    # It tells at length of every way to sign in that failed; the sentence at the end suffices.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    try:
        module, _, function = arguments.command.partition(":")
        command = getattr(import_module(f"cli.commands.{module}"), function)
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
    except PermissionError as error:
        print(f"stylestream: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(USAGE)
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
    run.add_argument(
        "-o",
        "--output",
        type=Path,
        help="result file (.mp4 or .mkv), or folder for several videos; default: current folder",
    )
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
    fetch.add_argument(
        "-o", "--output", type=Path, required=True, help="file (.mp4 or .mkv), or folder"
    )
    _add_dir(fetch)
    fetch.set_defaults(command="jobs:fetch")

    _add_link(commands_)
    _add_operating(commands_)
    _add_gallery(commands_)

    config = commands_.add_parser("config", help="print the settings in effect, secrets masked")
    config.add_argument("service", nargs="?", choices=["splitter", "stylizer", "assembler"])
    config.set_defaults(command="catalogue:config")

    measure = commands_.add_parser(
        "bench", help="measure this machine: the network, and the pipeline"
    )
    measure.add_argument(
        "--frames",
        type=whole(1, 1_000_000),
        default=720,
        metavar="N",
        help="length of the clip; default: %(default)s",
    )
    measure.add_argument("--style", default=DEFAULT_STYLE, help="default: %(default)s")
    measure.add_argument("--markdown", type=Path, help="also write the tables into this file")
    _add_stylizers(measure)
    _add_json(measure, "one JSON object on stdout")
    measure.set_defaults(command="bench:bench")
    _add_chaos(commands_)
    return parser


def _add_link(commands_: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that make links for people who have HTTP and nothing else."""
    link = commands_.add_parser("link", help="let somebody upload or download one video by HTTP")
    ways = link.add_subparsers(required=True, metavar="WAY")
    upload = ways.add_parser(
        "upload",
        help="print an address that takes a video",
        description="Print an address that takes one video until it expires. To send a file: "
        "curl --upload-file VIDEO --header 'x-ms-blob-type: BlockBlob' ADDRESS",
    )
    upload.add_argument(
        "name",
        metavar="NAME",
        help="of the upload, such as beach.mp4; the-scream/beach.mp4 asks for a style",
    )
    upload.set_defaults(command="links:upload")
    download = ways.add_parser("download", help="print an address that gives a job's result")
    download.add_argument("job", metavar="JOB")
    download.set_defaults(command="links:download")
    for way in (upload, download):
        way.add_argument(
            "--hours", type=hours, default=24.0, metavar="N", help="until it expires; default: 24"
        )
        _add_dir(way)


def _add_operating(commands_: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands for jobs in trouble."""
    cancel = commands_.add_parser("cancel", help="end a job; what it stored is deleted")
    cancel.add_argument("job", metavar="JOB")
    _add_dir(cancel)
    cancel.set_defaults(command="operate:cancel")

    letters = commands_.add_parser("dead-letters", help="list events that nobody could process")
    letters.add_argument(
        "--redrive",
        nargs="+",
        metavar="NAME",
        help="send these again, or 'all'; after their cause is repaired",
    )
    _add_dir(letters)
    _add_json(letters, "one JSON object a letter on stdout")
    letters.set_defaults(command="operate:dead_letters")


def _add_gallery(commands_: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that show what styles look like, and the one that makes them."""
    styles = commands_.add_parser("styles", help="list, check or show the styles")
    doing = styles.add_mutually_exclusive_group()
    doing.add_argument("--check", action="store_true", help="run every network once")
    doing.add_argument(
        "--sheet", type=Path, metavar="PICTURE", help="paint a photo or video in every style"
    )
    _add_json(doing, "one JSON object a style on stdout")
    styles.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("styles.png"),
        metavar="SHEET",
        help="default: %(default)s",
    )
    styles.add_argument(
        "--width",
        type=whole(64, 4096),
        default=480,
        metavar="PIXELS",
        help="of each picture; default: %(default)s",
    )
    _add_at(styles)
    styles.set_defaults(command="catalogue:styles")

    preview = commands_.add_parser("preview", help="show one picture of a video before and after")
    preview.add_argument("video", type=Path, metavar="VIDEO")
    _add_request(preview)
    _add_at(preview)
    preview.add_argument(
        "-o", "--output", type=Path, default=Path("preview.png"), help="default: %(default)s"
    )
    preview.set_defaults(command="preview:preview")

    _add_train(commands_)


def _add_train(commands_: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = commands_.add_parser("train", help="make a style of a painting of your own")
    train.add_argument("--style", type=Path, required=True, metavar="PAINTING", dest="painting")
    train.add_argument("--content", type=Path, required=True, metavar="DIR", help="photographs")
    train.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.onnx")
    train.add_argument(
        "--from",
        default=DEFAULT_STYLE,
        dest="start",
        metavar="STYLE",
        help="style to begin with, by name or file; default: %(default)s",
    )
    train.add_argument(
        "--features", type=Path, metavar="FILE", help="VGG19's weights; default: downloaded once"
    )
    train.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    train.add_argument("--steps", type=whole(1, 1_000_000), metavar="N")
    train.add_argument(
        "--style-size", type=whole(32, 4096), metavar="PIXELS", help="larger: larger strokes"
    )
    train.add_argument(
        "--content-weight", type=not_negative, metavar="W", help="less: more abstract"
    )
    train.add_argument("--seed", type=whole(0, 1_000_000_000), metavar="N")
    train.add_argument("--title", help="for the card; default: the file's name")
    train.add_argument("--painter", default="unknown", help="for the card")
    train.add_argument("--year", type=int, help="for the card")
    train.add_argument("--licence", default="all rights reserved", help="for the card")
    train.set_defaults(command="training:train")


def _add_chaos(commands_: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command that breaks stacks on purpose."""
    chaos = commands_.add_parser(
        "chaos", help="break stacks on this machine on purpose, and check that promises hold"
    )
    chaos.add_argument(
        "--minutes",
        type=not_negative,
        default=10.0,
        metavar="N",
        help="default: %(default)s; 0 repeats the one run of --seed alone",
    )
    chaos.add_argument("--seed", type=int, default=1, help="of the first run; default: %(default)s")
    chaos.add_argument("--report", type=Path, help="also write the findings into this file")
    chaos.add_argument("--logs", type=Path, help="folder for the logs of stacks that failed")
    chaos.set_defaults(command="chaos:chaos")


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--style",
        default=DEFAULT_STYLE,
        metavar="STYLE",
        help="name, or blend such as starry-night:0.6,the-scream:0.4; default: %(default)s",
    )
    parser.add_argument(
        "--strength", default="1", metavar="SHARE", help="share of the painting, 0 to 1; default: 1"
    )
    parser.add_argument(
        "--preserve-color", action="store_true", help="keep the colours of the video"
    )
    parser.add_argument(
        "--max-side", default="", metavar="PIXELS", help="scale larger pictures down"
    )


def _add_stylizers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stylizers", type=stylizers, default=1, metavar="N", help="default: %(default)s"
    )


def _add_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        help="folder of the running stack; default: storage named by the environment, "
        f"else {default_dir()}",
    )


def _add_at(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", type=seconds, metavar="SECONDS", help="default: a third of the way into the video"
    )


def _add_json(
    parser: argparse._ActionsContainer, what: str = "one JSON object a job on stdout"
) -> None:
    parser.add_argument("--json", action="store_true", help=what)
