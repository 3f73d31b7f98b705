r"""Measures styles and writes the tables of docs/styles/README.md.

::

    python -m training.evaluate --styles DIR --photos DIR --features FILE \
        --painting NAME=FILE ... --video FILE ... --document docs/styles/README.md

``--styles`` holds the files of the styles, ``--photos`` photographs that they were not trained on.
Speed is processor time, which other work on the machine disturbs less than the clock.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from training.data import read_picture
from training.features import Features
from training.gatys import paint as paint_by_optimising
from training.losses import style_statistics
from training.network import StyleNetwork
from training.quality import Judge, floats, held_out
from training.quantise import frames
from training.reference import ReferenceNetwork
from training.steadiness import SHIFTS, Frames, Paint, along_video, grid, under_noise, under_shift
from training.trainer import Plan

_SPEED_FRAME: Final = (1, 3, 360, 640)
_SPEED_RUNS: Final = 40
_REFERENCE_RUNS: Final = 3
_VIDEO_FRAMES: Final = 24
_PHOTOS: Final = 10
_YARDSTICK_PHOTOS: Final = 2

Rows = list[tuple[str, ...]]


def main() -> None:
    """Measure, and write every table between its marks in the document."""
    arguments = _arguments()
    torch.set_num_threads(1)
    files = sorted(path for path in arguments.styles.glob("*.onnx") if "." not in path.stem)
    all_photos = sorted(arguments.photos.iterdir())
    photos = all_photos[:: max(1, len(all_photos) // _PHOTOS)][:_PHOTOS]
    features = Features(arguments.features, torch.device("cpu"))
    paintings = dict(pair.split("=", 1) for pair in arguments.painting)
    tables: dict[str, Callable[[], str]] = {
        "speed": lambda: speed_table([*arguments.before, files[0]]),
        "precision": lambda: precision_table(files, photos),
        "steadiness": lambda: steadiness_table(
            [*arguments.before, *files], photos, arguments.video
        ),
        "quality": lambda: quality_table(
            files, all_photos, paintings, features, arguments.yardstick
        ),
    }
    for name, measure in tables.items():
        table = measure()
        # Read again each time: measuring takes minutes, in which somebody may have edited it.
        document = arguments.document.read_text(encoding="utf-8")
        arguments.document.write_text(with_table(document, name, table), encoding="utf-8")


def with_table(document: str, name: str, table: str) -> str:
    """Return the document with ``table`` between the marks called ``name``."""
    begin, end = f"<!-- {name}: written by training.evaluate -->\n", f"<!-- end of {name} -->\n"
    before, rest = document.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


def speed_table(files: list[Path]) -> str:
    """Return what a frame of 640x360 costs one core, and what others cost."""
    reference, own = _weights(ReferenceNetwork()), _weights(StyleNetwork())
    networks = [("Johnson et al. 32-64-128 (PyTorch)", reference, _torch_run(ReferenceNetwork()))]
    networks += [(version(file), own, _onnx_run(file)) for file in files]
    int8 = files[-1].with_suffix(".int8.onnx")
    networks += [(f"{version(int8)}, int8", own, _onnx_run(int8))]
    rows: Rows = [("network", "weights", "ms a frame", "fastest")]
    for name, weights, run in networks:
        times = _times(run, _REFERENCE_RUNS if weights == reference else _SPEED_RUNS)
        rows.append((name, f"{weights:,}", f"{np.median(times):.1f}", f"{min(times):.1f}"))
    return f"{markdown(rows)}\nOne thread of {machine()}; a frame of 640x360; the median.\n"


def quality_table(
    files: list[Path],
    photos: list[Path],
    paintings: dict[str, str],
    features: Features,
    yardsticks: list[str],
) -> str:
    """Return how far painted photographs are from the painting, and from their content.

    Optimising pictures takes minutes a style; it is done for those in ``yardsticks``.
    """
    plan = Plan()
    pictures = held_out(photos)
    few = pictures[:_YARDSTICK_PHOTOS]
    rows: Rows = [("style", "photo", "painted", "the same few", "optimised")]
    for file in files:
        painting = read_picture(Path(paintings[file.stem]), _style_size(file))[None]
        judge = Judge(style_statistics(painting, features), features)
        paint = _painter(file)

        def optimise(picture: Frames, judge: Judge = judge) -> Tensor:
            return paint_by_optimising(floats(picture), judge.wanted, features, plan)

        cells = [
            judge.mean((floats(picture), picture) for picture in pictures),
            judge.mean((floats(paint(picture)), picture) for picture in pictures),
        ]
        if file.stem in yardsticks:
            cells += [
                judge.mean((floats(paint(picture)), picture) for picture in few),
                judge.mean((optimise(picture), picture) for picture in few),
            ]
        rows.append((file.stem, *map(str, cells), *["-"] * (len(rows[0]) - 1 - len(cells))))
    return markdown(rows)


def steadiness_table(files: list[Path], photos: list[Path], videos: list[Path]) -> str:
    """Return how much the painting changes where the picture does not."""
    shifts = [f"shift {pixels} px" for pixels in SHIFTS]
    rows: Rows = [
        ("style", "grid", "noise", *shifts, *(f"{video.stem} (source)" for video in videos))
    ]
    for file in files:
        paint = _painter(file)
        pictures = [frames(photo) for photo in photos]
        figures = [_mean(under_noise(paint, picture) for picture in pictures)]
        figures += [
            _mean(under_shift(paint, picture, pixels) for picture in pictures) for pixels in SHIFTS
        ]
        cells = [f"{grid(paint):.2f}", *(f"{figure:.1f}" for figure in figures)]
        for video in videos:
            flicker = along_video(paint, video, frames=_VIDEO_FRAMES)
            cells.append(f"{flicker.painted:.1f} ({flicker.source:.1f})")
        own = file.parent == files[-1].parent
        rows.append((file.stem if own else f"{file.stem}, {version(file)}", *cells))
    return markdown(rows)


def precision_table(files: list[Path], photos: list[Path]) -> str:
    """Return how near int8 and fp16 come to fp32, in dB."""
    rows: Rows = [("style", "int8", "fp16")]
    for file in files:
        pictures = [frames(photo) for photo in photos]
        exact = [_painter(file)(picture) for picture in pictures]
        cells = []
        for variant in ("int8", "fp16"):
            paint = _painter(file.with_suffix(f".{variant}.onnx"))
            near = [decibels(paint(p), e) for p, e in zip(pictures, exact, strict=True)]
            cells.append(f"{np.mean(near):.1f} (least {min(near):.1f})")
        rows.append((file.stem, *cells))
    return markdown(rows)


def markdown(rows: Rows) -> str:
    """Return rows as a Markdown table, the first as its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def version(file: Path) -> str:
    """Name the network's version, which since the second one it says of itself."""
    return f"version {_metadata(file).get('network', '1')}"


def machine() -> str:
    """Name the processor and what it can multiply."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if platform.system() == "Linux" else ""
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {name.strip(): fact.strip() for name, fact in facts.items()}
    name = facts.get("model name") or platform.processor() or platform.machine()
    known = [word for word in ("avx2", "avx512f", "avx512_vnni") if word in facts.get("flags", "")]
    return f"an {name} ({', '.join(known)})" if known else name


def decibels(a: Frames, b: Frames) -> float:
    """Return the peak signal-to-noise ratio of two pictures."""
    error = np.square(a.astype(np.float64) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def _metadata(file: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(file).metadata_props}


def _style_size(file: Path) -> int:
    """Return the size at which the painting was looked at when the style was trained."""
    return Plan.model_validate_json(_metadata(file)["settings"]).style_size


def _painter(file: Path) -> Paint:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(file, options, ["CPUExecutionProvider"])

    def paint(frame: Frames) -> Frames:
        return session.run(None, {"frames": frame})[0]

    return paint


def _onnx_run(file: Path) -> Callable[[], object]:
    paint = _painter(file)
    frame = np.random.default_rng(0).integers(0, 256, _SPEED_FRAME, dtype=np.uint8)
    return lambda: paint(frame)


def _torch_run(network: nn.Module) -> Callable[[], object]:
    frame = torch.rand(_SPEED_FRAME)

    def run() -> object:
        with torch.inference_mode():
            return network(frame)

    return run


def _times(run: Callable[[], object], count: int) -> list[float]:
    """Return processor time a call, ms, after one to warm up."""
    run()
    times = []
    for _ in range(count):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) * 1000)
    return times


def _weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


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
    parser.add_argument("--document", type=Path, default=Path("docs/styles/README.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
