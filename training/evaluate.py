r"""Measures styles and writes the tables of docs/styles/README.md.

::

    python -m training.evaluate --styles DIR --photos DIR --features FILE \
        --painting NAME=FILE ... --video FILE ... --document docs/styles/README.md

``--styles`` has the files of the styles, ``--photos`` photographs that they were not trained on.
Speed is wall time, so the machine must be idle otherwise. ``--table`` writes only one table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from training.data import PAINTED_SIDE, frames, read_picture
from training.features import Features
from training.gates import CANVASES, GATES, PAINTING_SIDE, look
from training.gatys import paint as paint_by_optimising
from training.losses import style_statistics
from training.quality import Judge, floats, held_out
from training.runtime import metadata, painter, version
from training.speed import speed_table
from training.steadiness import HALVES, SHIFTS, Frames, along_video, under_noise, under_shift
from training.tables import Rows, markdown, with_table
from training.trainer import Plan

TABLES: Final = ("gates", "speed", "precision", "steadiness", "quality")

_VIDEO_FRAMES: Final = 24
_PHOTOS: Final = 10
_YARDSTICK_PHOTOS: Final = 5


def main() -> None:
    """Measure, and write every table into its section of the document."""
    arguments = _arguments()
    torch.set_num_threads(1)
    files = sorted(path for path in arguments.styles.glob("*.onnx") if "." not in path.stem)
    all_photos = sorted(arguments.photos.iterdir())
    photos = all_photos[:: max(1, len(all_photos) // _PHOTOS)][:_PHOTOS]
    features = Features(arguments.features, torch.device("cpu"))
    paintings = dict(pair.split("=", 1) for pair in arguments.painting)
    tables: dict[str, Callable[[], str]] = {
        "gates": lambda: gates_table(files, photos, paintings, arguments.video),
        "speed": lambda: speed_table(files[0]),
        "precision": lambda: precision_table(files, photos),
        "steadiness": lambda: steadiness_table(
            [*arguments.before, *files], photos, arguments.video
        ),
        "quality": lambda: quality_table(
            files, all_photos, paintings, features, arguments.yardstick
        ),
    }
    for name in arguments.table or tables:
        table = tables[name]()
        # Read again each time, because it may be edited during the minutes of measuring.
        document = arguments.document.read_text(encoding="utf-8")
        arguments.document.write_text(with_table(document, name, table), encoding="utf-8")


def gates_table(
    files: list[Path], photos: list[Path], paintings: dict[str, str], videos: list[Path]
) -> str:
    """Return what viewers see of every style; figures that miss their gate are bold."""
    rows: Rows = [("style", *(str(gate) for gate in GATES), "holds")]
    pictures = [frames(photo) for photo in photos]
    for file in files:
        painting = frames(Path(paintings[file.stem]), PAINTING_SIDE)
        paints = [painter(file, canvas=canvas) for canvas in CANVASES]
        seen = look(paints, pictures, painting, videos)
        cells = [gate.cell(figure) for gate, figure in zip(GATES, seen, strict=True)]
        held = sum(gate.holds(figure) for gate, figure in zip(GATES, seen, strict=True))
        rows.append((file.stem, *cells, f"{held} of {len(GATES)}"))
    return markdown(rows)


def quality_table(
    files: list[Path],
    photos: list[Path],
    paintings: dict[str, str],
    features: Features,
    yardsticks: list[str],
) -> str:
    """Return how far painted photographs are from the painting, and from their content.

    Optimising pictures takes minutes for each style; it is done for those in ``yardsticks``.
    """
    plan = Plan()
    pictures = held_out(photos)
    few = pictures[:_YARDSTICK_PHOTOS]
    rows: Rows = [("style", "photo", "painted", "the same few", "optimised")]
    for file in files:
        painting = read_picture(Path(paintings[file.stem]), _style_size(file))[None]
        judge = Judge(style_statistics(painting, features), features)
        paint = painter(file)

        def optimise(picture: Frames, judge: Judge = judge) -> Tensor:
            return paint_by_optimising(floats(picture), judge.wanted, features, plan)

        cells = [
            judge.median((floats(picture), picture) for picture in pictures),
            judge.median((floats(paint(picture)), picture) for picture in pictures),
        ]
        if file.stem in yardsticks:
            cells += [
                judge.median((floats(paint(picture)), picture) for picture in few),
                judge.median((optimise(picture), picture) for picture in few),
            ]
        rows.append((file.stem, *map(str, cells), *["-"] * (len(rows[0]) - 1 - len(cells))))
    return markdown(rows)


def steadiness_table(files: list[Path], photos: list[Path], videos: list[Path]) -> str:
    """Return how much paintings change when pictures do not."""
    shifts = [f"shift {pixels:g} px" for pixels in SHIFTS]
    pictures = [frames(photo) for photo in photos]
    fine = [frames(photo, HALVES * PAINTED_SIDE) for photo in photos]
    rows: Rows = [("style", "noise", *shifts, *(f"{video.stem} (source)" for video in videos))]
    for file in files:
        paint = painter(file)
        figures = [_mean(under_noise(paint, picture) for picture in pictures)]
        for pixels in SHIFTS:
            # Like splitters, which see the picture move by this from one frame to the next.
            grid = (round(pixels), round(pixels))
            follow = painter(file, canvas=(pixels, pixels), grid=grid)
            figures.append(_mean(under_shift(paint, each, pixels, follow) for each in fine))
        cells = [f"{figure:.1f}" for figure in figures]
        for video in videos:
            flicker = along_video(paint, video, frames=_VIDEO_FRAMES)
            cells.append(f"{flicker.painted:.1f} ({flicker.source:.1f})")
        own = file.parent == files[-1].parent
        rows.append((file.stem if own else f"{file.stem}, {version(file)}", *cells))
    return markdown(rows)


def precision_table(files: list[Path], photos: list[Path]) -> str:
    """Return how close fp16 is to fp32, in dB."""
    rows: Rows = [("style", "fp16")]
    for file in files:
        pictures = [frames(photo) for photo in photos]
        exact = [painter(file)(picture) for picture in pictures]
        paint = painter(file.with_suffix(".fp16.onnx"))
        near = [decibels(paint(p), e) for p, e in zip(pictures, exact, strict=True)]
        rows.append((file.stem, f"{np.mean(near):.1f} (least {min(near):.1f})"))
    return markdown(rows)


def decibels(a: Frames, b: Frames) -> float:
    """Return the peak signal-to-noise ratio of two pictures."""
    error = np.square(a.astype(np.float64) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def _style_size(file: Path) -> int:
    """Return the size of the painting at which the style was trained."""
    return Plan.model_validate_json(metadata(file)["settings"]).style_size


def _mean(figures: Iterable[float]) -> float:
    return float(np.mean(list(figures)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure styles.")
    parser.add_argument("--styles", type=Path, required=True, help="folder of NAME.onnx files")
    parser.add_argument("--photos", type=Path, required=True, help="not trained on")
    parser.add_argument("--features", type=Path, required=True, help="VGG19's weights")
    parser.add_argument("--painting", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument(
        "--yardstick", action="append", default=[], metavar="NAME", help="optimise pictures for it"
    )
    parser.add_argument("--video", action="append", default=[], type=Path, metavar="FILE")
    parser.add_argument(
        "--before", action="append", default=[], type=Path, help="older network, to compare"
    )
    parser.add_argument("--table", action="append", choices=TABLES, help="not all, but this")
    parser.add_argument("--document", type=Path, default=Path("docs/styles/README.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
