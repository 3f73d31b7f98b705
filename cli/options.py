"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cli.arguments import loop_seconds, seconds, stylizers
from client.local_stack import default_dir
from local.defaults import DEFAULT_STYLE


class _Needless(argparse.Action):
    """An option of other commands that would change nothing here; ``const`` is the reason."""

    def __call__(self, *_: object) -> None:
        raise argparse.ArgumentError(self, str(self.const))


def refuse_options(parser: argparse.ArgumentParser, options: Sequence[str], reason: str) -> None:
    """Refuse options with a reason, instead of ignoring them or calling them unknown."""
    for option in options:
        parser.add_argument(
            option,
            action=_Needless,
            const=reason,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add the options of a style request."""
    add_look(parser)
    parser.add_argument(
        "--quality",
        default="",
        metavar="0..100",
        help="quality of the result's encoding; higher is better and larger; default: 60",
    )
    parser.add_argument(
        "--codec", default="", help="codec of the result: h264, hevc or av1; default: h264"
    )
    parser.add_argument(
        "--start",
        default="",
        metavar="TIME",
        help="where in the video to begin: seconds, or [HOURS:]MINUTES:SECONDS",
    )
    parser.add_argument("--duration", default="", metavar="TIME", help="how much of it to paint")
    parser.add_argument("--max-frames", default="", metavar="N", help="paint at most N frames")


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add the options of a style request that show in a single picture."""
    parser.add_argument(
        "--style",
        default=DEFAULT_STYLE,
        metavar="STYLE",
        help="name, blend such as starry-night:0.6,the-scream:0.4, or either over time: "
        "starry-night@0s,great-wave@10s; default: %(default)s",
    )
    parser.add_argument(
        "--fade",
        default="",
        metavar="TIME",
        help="how long one style turns into the next; default: 1",
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
    parser.add_argument(
        "--brush",
        default="",
        metavar="LINES",
        help="height in lines at which pictures are painted; fewer lines make larger strokes",
    )


def add_stylizers(parser: argparse.ArgumentParser) -> None:
    """Add the option for the number of stylizers of a stack."""
    parser.add_argument(
        "--stylizers", type=stylizers, metavar="N", help="number of stylizers; default: 1"
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects what networks run on."""
    parser.add_argument(
        "--engine",
        choices=["auto", "cpu", "cuda", "tensorrt"],
        help="what networks run on; auto, the default, uses a GPU that works; "
        "overrides the variable ENGINE",
    )


def add_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects a running stack."""
    default = str(default_dir()).replace("%", "%%")
    parser.add_argument(
        "--dir",
        type=Path,
        help="folder of the running stack; default: storage named by the environment, "
        f"else {default}",
    )


def add_at(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects a frame of a video."""
    parser.add_argument(
        "--at",
        type=seconds,
        metavar="SECONDS",
        help="time of the frame; default: a third of the way in",
    )


def add_loop(parser: argparse.ArgumentParser) -> None:
    """Add the option for an animated picture."""
    parser.add_argument(
        "--loop",
        type=loop_seconds,
        metavar="SECONDS",
        help="write an animated WebP of so many seconds, from the time of the frame on",
    )


def add_json(
    parser: argparse._ActionsContainer, what: str = "one JSON object a job on stdout"
) -> None:
    """Add the option for output that programs read; ``what`` is its help."""
    parser.add_argument("--json", action="store_true", help=what)


def add_quiet(parser: argparse._ActionsContainer) -> None:
    """Add the option that hides progress."""
    parser.add_argument("-q", "--quiet", action="store_true", help="show only results and problems")


def add_talk(parser: argparse.ArgumentParser) -> None:
    """Add the options for less or more output, of commands that have a stack."""
    either = parser.add_mutually_exclusive_group()
    add_quiet(either)
    either.add_argument(
        "-v", "--verbose", action="store_true", help="also show what the services log, on stderr"
    )


def add_existing(parser: argparse._ActionsContainer, what: str = "results that exist") -> None:
    """Add the option that replaces existing files; ``what`` names them in its help."""
    parser.add_argument("-f", "--force", action="store_true", help=f"replace {what}")


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add the option that makes a degraded result a failure."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="treat a result that lacks damaged parts of its video as a failure",
    )
