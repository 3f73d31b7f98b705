"""The commands of ``stylestream`` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from cli.arguments import hours, not_negative, whole
from cli.options import (
    add_at,
    add_dir,
    add_engine,
    add_existing,
    add_json,
    add_loop,
    add_quiet,
    add_request,
    add_strict,
    add_stylizers,
    add_talk,
)
from cli.parser import CommandParsers, Parser
from cli.version import version
from client.local_stack import default_dir
from local.defaults import DEFAULT_STYLE
from shared.contracts.status import State


def build_parser() -> Parser:
    """Return the parser of the whole command line.

    What it returns from ``parse_args`` holds, besides the options, ``command``: the function that
    carries the command out, as ``module:function`` below `cli.commands`.
    """
    parser = Parser(
        prog="stylestream",
        description="Repaint videos in the style of a picture: every frame, exact timestamps, "
        "original sound.",
    )
    parser.add_argument("--version", action="version", version=f"stylestream {version()}")
    commands_ = parser.add_commands("COMMAND")

    _add_stack(commands_)
    _add_jobs(commands_)
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
    measure.add_argument(
        "--suite",
        choices=["quick", "full"],
        default="quick",
        help="full: also how the pipeline keeps up with 1 to 32 simulated stylizers, some minutes; "
        "default: %(default)s",
    )
    measure.add_argument("--markdown", type=Path, help="also write the tables into this file")
    add_stylizers(measure)
    add_engine(measure)
    measure.set_defaults(stylizers=1)
    add_json(measure, "one JSON object on stdout")
    measure.set_defaults(command="bench:bench")
    _add_chaos(commands_)

    setup = commands_.add_parser("setup", help="install what a stack on this machine needs, once")
    add_quiet(setup)
    setup.set_defaults(command="setup:setup")

    completion = commands_.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        description="Print a script that completes commands, options and styles with the Tab key. "
        "For bash: stylestream completion bash > ~/.local/share/bash-completion/completions/"
        "stylestream",
    )
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    completion.set_defaults(command="completion:completion")
    return parser


def _add_stack(commands_: CommandParsers) -> None:
    """Add the commands that start a stack on this machine."""
    run = commands_.add_parser("run", help="repaint videos on this machine, from start to end")
    run.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO",
        help="files, or folders of videos; default: a sample clip",
    )
    add_request(run)
    run.add_argument(
        "-o",
        "--output",
        type=Path,
        help="result file (.mp4 or .mkv), or folder for several videos; default: current folder",
    )
    add_existing(run)
    run.add_argument(
        "--skip-existing", action="store_true", help="leave out videos whose result exists"
    )
    add_strict(run)
    run.add_argument(
        "--dir",
        type=Path,
        help="folder to keep the stack in; default: the running stack, else a temporary one",
    )
    run.add_argument(
        "--keep-warm",
        type=whole(1, 1440),
        metavar="MINUTES",
        help="keep the stack for further runs until it has been idle for so long; they begin at "
        "once",
    )
    add_stylizers(run)
    add_engine(run)
    add_json(run)
    add_talk(run)
    run.set_defaults(command="run:run")

    up = commands_.add_parser("up", help="keep a stack running on this machine until Ctrl-C")
    up.add_argument("--dir", type=Path, default=default_dir(), help="default: %(default)s")
    up.add_argument("--open", action="store_true", help="open the studio in a browser")
    add_stylizers(up)
    add_talk(up)
    add_engine(up)
    up.set_defaults(command="up:up")


def _add_jobs(commands_: CommandParsers) -> None:
    """Add the commands for jobs of a running stack, or in Azure."""
    submit = commands_.add_parser("submit", help="upload videos to a running stack, or to Azure")
    submit.add_argument("videos", nargs="+", metavar="VIDEO", help="files, or folders of videos")
    add_request(submit)
    submit.add_argument("--wait", action="store_true", help="wait until the jobs have ended")
    add_strict(submit)
    add_quiet(submit)
    add_dir(submit)
    add_json(submit)
    submit.set_defaults(command="submit:submit")

    status = commands_.add_parser("status", help="show one job, or all")
    status.add_argument("job", nargs="?", metavar="JOB")
    status.add_argument("-w", "--watch", action="store_true", help="keep the display up to date")
    status.add_argument("--state", choices=get_args(State), help="only jobs in this state")
    status.add_argument(
        "-n", "--limit", type=whole(1, 1_000_000), metavar="N", help="only the newest N jobs"
    )
    add_dir(status)
    add_json(status)
    status.set_defaults(command="jobs:status")

    fetch = commands_.add_parser("fetch", help="download a job's result")
    fetch.add_argument("job", metavar="JOB")
    fetch.add_argument(
        "-o",
        "--output",
        type=Path,
        help="file (.mp4 or .mkv), or folder; default: current folder",
    )
    add_existing(fetch)
    add_dir(fetch)
    fetch.set_defaults(command="jobs:fetch")

    opening = commands_.add_parser("open", help="show a job's result in a video player")
    opening.add_argument("job", metavar="JOB")
    add_dir(opening)
    opening.set_defaults(command="jobs:open_result")

    remove = commands_.add_parser("rm", help="delete ended jobs: upload, result and record")
    remove.add_argument("jobs", nargs="+", metavar="JOB")
    add_dir(remove)
    remove.set_defaults(command="jobs:rm")

    logs = commands_.add_parser("logs", help="print the logs of a stack on this machine")
    logs.add_argument(
        "process", nargs="?", metavar="PROCESS", help="such as splitter; default: all"
    )
    logs.add_argument(
        "-n",
        "--lines",
        type=whole(0, 1_000_000),
        default=10,
        help="last lines of each log; default: %(default)s",
    )
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing new lines")
    add_dir(logs)
    logs.set_defaults(command="logs:logs")


def _add_link(commands_: CommandParsers) -> None:
    """Add the commands that make links for people who have HTTP and nothing else."""
    link = commands_.add_parser("link", help="let somebody upload or download one video by HTTP")
    ways = link.add_commands("WAY")
    upload = ways.add_parser(
        "upload",
        help="print an address that takes a video",
        description="Print an address that takes one video, once, until it expires. To send a "
        "file: curl --upload-file VIDEO --header 'x-ms-blob-type: BlockBlob' ADDRESS",
    )
    upload.add_argument(
        "name",
        metavar="NAME",
        help="of the upload, such as beach.mp4; the-scream/beach.mp4 asks for a style",
    )
    upload.add_argument(
        "--overwrite",
        action="store_true",
        help="take any number of versions, each a job, and files in blocks; default: one, in one "
        "request",
    )
    upload.set_defaults(command="links:upload")
    download = ways.add_parser("download", help="print an address that gives a job's result")
    download.add_argument("job", metavar="JOB")
    download.set_defaults(command="links:download")
    for way in (upload, download):
        way.add_argument(
            "--hours", type=hours, default=24.0, metavar="N", help="until it expires; default: 24"
        )
        add_dir(way)


def _add_operating(commands_: CommandParsers) -> None:
    """Add the commands for jobs in trouble."""
    cancel = commands_.add_parser("cancel", help="end a job; what it stored is deleted")
    cancel.add_argument("job", metavar="JOB")
    add_dir(cancel)
    cancel.set_defaults(command="operate:cancel")

    doctor = commands_.add_parser("doctor", help="check a deployment and say what is wrong")
    add_dir(doctor)
    add_json(doctor, "one JSON object a finding on stdout")
    doctor.set_defaults(command="doctor:doctor")

    letters = commands_.add_parser("dead-letters", help="list events that could not be processed")
    letters.add_argument(
        "--redrive",
        nargs="+",
        metavar="NAME",
        help="send these again, or 'all'; after their cause is repaired",
    )
    add_dir(letters)
    add_json(letters, "one JSON object a letter on stdout")
    letters.set_defaults(command="operate:dead_letters")


def _add_gallery(commands_: CommandParsers) -> None:
    """Add the commands that show what styles look like, and the one that makes them."""
    styles = commands_.add_parser("styles", help="list, check or show the styles")
    doing = styles.add_mutually_exclusive_group()
    doing.add_argument("--check", action="store_true", help="run every network once")
    doing.add_argument(
        "--sheet", type=Path, metavar="PICTURE", help="paint a photo or video in every style"
    )
    add_json(doing, "one JSON object a style on stdout")
    styles.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="SHEET",
        help="default: PICTURE.styles.png, or .webp, in the current folder",
    )
    add_existing(styles, "a sheet that exists")
    styles.add_argument(
        "--width",
        type=whole(64, 4096),
        default=480,
        metavar="PIXELS",
        help="of each picture; default: %(default)s",
    )
    add_at(styles)
    add_loop(styles)
    add_engine(styles)
    styles.set_defaults(command="catalogue:styles")

    preview = commands_.add_parser("preview", help="show one picture of a video before and after")
    preview.add_argument("video", type=Path, metavar="VIDEO", help="video or photo")
    add_request(preview)
    add_at(preview)
    add_loop(preview)
    add_engine(preview)
    preview.add_argument(
        "-o",
        "--output",
        type=Path,
        help="default: VIDEO.STYLE.png, or .webp, in the current folder",
    )
    add_existing(preview, "a picture that exists")
    preview.set_defaults(command="preview:preview")

    _add_train(commands_)


def _add_train(commands_: CommandParsers) -> None:
    train = commands_.add_parser("train", help="train a style from a painting of your own")
    train.add_argument("--style", type=Path, required=True, metavar="PAINTING", dest="painting")
    train.add_argument(
        "--content",
        type=Path,
        metavar="DIR",
        help="photographs to train with; default: pictures found on this machine",
    )
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
        "--batch", type=whole(1, 1024), metavar="N", help="pictures a step; more for a GPU"
    )
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


def _add_chaos(commands_: CommandParsers) -> None:
    """Add the command that breaks stacks on purpose."""
    chaos = commands_.add_parser(
        "chaos", help="inject faults into stacks on this machine, and check the guarantees"
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
