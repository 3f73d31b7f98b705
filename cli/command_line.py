"""The commands of ``stylestream`` and their options."""

from __future__ import annotations

from pathlib import Path

from cli.arguments import not_negative, whole
from cli.job_commands import add_jobs, add_link, add_operating
from cli.options import (
    add_engine,
    add_existing,
    add_json,
    add_quiet,
    add_request,
    add_strict,
    add_stylizers,
    add_talk,
)
from cli.parser import CommandParsers, Parser
from cli.results import Output
from cli.style_commands import add_gallery
from client.local_stack import default_dir
from local.defaults import DEFAULT_STYLE
from shared.telemetry.version import version


def build_parser() -> Parser:
    """Return the parser of the whole command line.

    Besides the options, the namespace that it returns has ``command``: the function that runs the
    command, as ``module:function`` below `cli.commands`.
    """
    parser = Parser(
        prog="stylestream",
        description="Repaint videos in the style of a picture: every frame, exact timestamps, "
        "original sound.",
    )
    parser.add_argument("--version", action="version", version=f"stylestream {version()}")
    commands_ = parser.add_commands("COMMAND")

    _add_stack(commands_)
    add_jobs(commands_)
    add_link(commands_)
    add_operating(commands_)
    add_gallery(commands_)

    config = commands_.add_parser("config", help="print the settings in effect, secrets masked")
    config.add_argument("service", nargs="?", choices=["splitter", "stylizer", "assembler"])
    config.set_defaults(command="catalogue:config")

    _add_bench(commands_)
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
        type=Output,
        help="result file (.mp4 or .mkv), or folder, new ones with a slash at the end; default: "
        "current folder",
    )
    existing = run.add_mutually_exclusive_group()
    add_existing(existing)
    existing.add_argument(
        "--skip-existing", action="store_true", help="skip videos whose result exists"
    )
    add_strict(run)
    run.add_argument(
        "--dir",
        type=Path,
        help="folder of a running stack, or to keep a new one in; default: the running stack, else "
        "a temporary one",
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
    up.add_argument(
        "--open",
        action="store_true",
        help="open the studio in a browser, also that of a stack that runs already",
    )
    add_stylizers(up)
    add_talk(up)
    add_engine(up)
    up.set_defaults(command="up:up")


def _add_bench(commands_: CommandParsers) -> None:
    """Add the command that measures this machine."""
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
        help="full: also at 1280x720, in fp32, with many short videos, with 1 to 32 simulated "
        "stylizers, and beside another package's network where that is installed, some minutes; "
        "default: %(default)s",
    )
    measure.add_argument("--markdown", type=Path, help="also write the tables into this file")
    add_stylizers(measure)
    add_engine(measure)
    measure.set_defaults(stylizers=1)
    add_json(measure, "one JSON object on stdout")
    measure.set_defaults(command="bench:bench")


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
    chaos.add_argument(
        "--seed",
        type=whole(0, 1_000_000_000),
        default=1,
        help="of the first run; default: %(default)s",
    )
    chaos.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="FAULT",
        help="inject only this fault, in every run; may be repeated",
    )
    chaos.add_argument("--report", type=Path, help="also write the findings into this file")
    chaos.add_argument("--logs", type=Path, help="folder for the logs of stacks that failed")
    chaos.set_defaults(command="chaos:chaos")
