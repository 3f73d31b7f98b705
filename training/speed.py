"""The cost of a frame, with this network and with the one that it is compared with.

Measured as wall time, to show the effect of threads, so the machine must be idle otherwise. The
networks are measured alternately, so that a temporary slowdown affects all of them.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.network import StyleNetwork
from training.reference import ReferenceNetwork
from training.runtime import machine, painter, version
from training.steadiness import Paint
from training.tables import Rows, markdown

Size = tuple[int, int]
"""Width and height in pixels."""

SIZES: Final = ((640, 360), (1280, 720), (1920, 1080))
THREADS: Final = (1, 2)

_ROUNDS: Final = 5
_TIMES_A_ROUND: Final = 3


def speed_table(file: Path, sizes: tuple[Size, ...] = SIZES, rounds: int = _ROUNDS) -> str:
    """Return medians of ms a frame at several sizes and numbers of threads.

    Args:
        file: the network of a style.
        sizes: the sizes of frames.
        rounds: how often the other network is measured; ours is measured more often.
    """
    reference, own = ReferenceNetwork(), StyleNetwork()
    rows: list[list[str]] = [
        ["network", "weights"],
        ["Johnson et al. 32-64-128", f"{_weights(reference):,}"],
        [version(file), f"{_weights(own):,}"],
        ["times as fast", ""],
    ]
    for size in sizes:
        networks = (_exported(reference, size), file)
        for threads in THREADS:
            costs = medians([painter(each, threads) for each in networks], size, rounds)
            column = [
                f"{size[0]}x{size[1]}, {threads} thread{'s' if threads > 1 else ''}",
                *(f"{ms:.1f}" for ms in costs),
                f"{costs[0] / costs[1]:.0f}",
            ]
            for row, cell in zip(rows, column, strict=True):
                row.append(cell)
    table: Rows = [tuple(row) for row in rows]
    return f"{markdown(table)}\nms a frame, the median, with ONNX Runtime on {machine()}.\n"


class _Frames(nn.Module):
    """Wraps a network for frames like ours: (N, 3, H, W) uint8."""

    def __init__(self, network: ReferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        painted: Tensor = self.network(frames.float() / 255)
        return (painted * 255).round().clamp(0, 255).byte()


def _exported(network: ReferenceNetwork, size: Size) -> bytes:
    width, height = size
    frame = torch.zeros(1, 3, height, width, dtype=torch.uint8)
    model = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter would need one more package, just for a comparison.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Frames(network).eval(), (frame,), model, dynamo=False, input_names=["frames"]
        )
    return model.getvalue()


def medians(
    paints: list[Paint], size: Size, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return ms a frame of each by ``clock``; the first one is slow and paints less often."""
    width, height = size
    frame = np.random.default_rng(0).integers(0, 256, (1, 3, height, width), dtype=np.uint8)
    times: list[list[float]] = [[] for _ in paints]
    for paint in paints:
        paint(frame)
    for _ in range(rounds):
        for place, paint in enumerate(paints):
            for _ in range(_TIMES_A_ROUND if place else 1):
                start = clock()
                paint(frame)
                times[place].append((clock() - start) * 1000)
    return [float(np.median(taken)) for taken in times]


def _weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
