"""The commands that show and train styles, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cli.arguments import not_negative, whole
from cli.options import (
    add_at,
    add_engine,
    add_existing,
    add_json,
    add_look,
    add_loop,
    refuse_options,
)
from cli.parser import CommandParsers
from local.defaults import DEFAULT_STYLE

SHEET_WIDTH: Final = 480
"""The width of each picture of a sheet, in pixels."""


def add_gallery(commands_: CommandParsers) -> None:
    """Add the commands that show styles, and the one that trains them."""
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
        metavar="PIXELS",
        help=f"of each picture; default: {SHEET_WIDTH}",
    )
    add_at(styles)
    add_loop(styles)
    add_engine(styles)
    styles.set_defaults(command="catalogue:styles")

    preview = commands_.add_parser("preview", help="show one picture of a video before and after")
    preview.add_argument("video", type=Path, metavar="VIDEO", help="video or photo")
    add_look(preview)
    refuse_options(preview, ("--start", "--duration"), "has no effect here: use --at and --loop")
    refuse_options(preview, ("--quality", "--codec", "--max-frames"), "has no effect on a preview")
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
    train.add_argument("--year", type=whole(1, 9999), help="for the card")
    train.add_argument("--licence", default="all rights reserved", help="for the card")
    train.set_defaults(command="training:train")
