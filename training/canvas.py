"""The canvas: a fixed pattern, tied to the frame, on which the network paints its strokes.

A network that depends only on a pixel's neighbourhood leaves a plain wall plain: it could only
paint from noise, and such strokes flicker. The canvas gives it something else to paint from: planes
of waves, each of one direction and one length with some spread, at fixed places. What the network
makes of them is learned, but not the waves: a learned pattern would concentrate strokes in a few
places of every tile and leave the rest bare.

Each plane is phasor noise (Tricard et al., "Procedural phasor noise", ACM Trans. Graph. 38(4),
2019): the sum of a few waves divided by its own envelope, so that it is equally strong everywhere.
Its phase is modulated by a slow flow that all planes share, so that strokes bend together. It is
computed from coordinates, at any size and place. The coordinates and the waves' frequencies are
integers, so that the sines' arguments are exact even if the network computes with eight bits of
mantissa.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

CELL: Final = 4
"""Pixels between two samples of the canvas, which has a quarter of the picture's size."""

UNIT: Final = 4
"""Steps of coordinates in a pixel: the canvas can be moved by quarters of a pixel."""

PERIOD: Final = 2**15
"""The period in steps, 8192 pixels. Products of coordinates fit into 32 bits."""

TURN: Final = 2 * math.pi / PERIOD
"""Radians in a step of phase."""

SOFT: Final = 2.4
"""Added to the square of the envelope, so that a plane fades where the waves cancel each other."""

_WAVES: Final = 24
_SEED: Final = 4


class Plane(NamedTuple):
    """Waves of ``length`` pixels in the direction ``angle``, in degrees, and the spread of both."""

    length: float
    angle: float
    spread: float = 18.0
    ratio: float = 1.15


PLANES: Final = (
    *(Plane(13.0, angle) for angle in (0.0, 45.0, 90.0, 135.0)),
    *(Plane(20.0, angle) for angle in (20.0, 80.0, 140.0)),
    Plane(38.0, 0.0, spread=90.0),
)
"""Each is used twice, a quarter of a wave apart, so that strokes can be anywhere.

Waves of 8 pixels are the shortest that cells can hold.
"""

CHANNELS: Final = 2 * len(PLANES)

_FLOWS: Final = 6
_SLOWEST: Final = 340.0
_FASTEST: Final = 150.0
_ROUND: Final = 90.0
_SWAY: Final = 0.22
"""How much one flow shears the planes; all six together turn strokes by some 20 degrees."""


@dataclass(frozen=True, slots=True)
class Waves:
    """Waves: ``height`` cos(`TURN` (``down`` y + ``across`` x + ``phase``)).

    Each is (planes, waves). ``down``, ``across`` and ``phase`` are int32: turns in a `PERIOD`, and
    steps of phase. Heights are float32; coordinates count in `UNIT` to the pixel.
    """

    down: Tensor
    across: Tensor
    phase: Tensor
    height: Tensor


def waves() -> Waves:
    """Return the waves of `PLANES`, always the same on every machine."""
    chance = random.Random(_SEED)  # noqa: S311 - a pattern is no secret
    rows = []
    for plane in PLANES:
        row = []
        for _ in range(_WAVES):
            angle = plane.angle + plane.spread * _signed(chance)
            length = plane.length * plane.ratio ** _signed(chance)
            row.append((*_pace(length, angle), _phase(chance), 1.0))
        rows.append(row)
    return _waves(rows)


def flows() -> Waves:
    """Return the flow that modulates the planes' phases: shears across slow waves.

    A shear moves along the crests of its wave, so that strokes turn and keep their area.
    """
    chance = random.Random(_SEED + 1)  # noqa: S311 - as above
    slow = []
    for number in range(_FLOWS):
        length = _SLOWEST * (_FASTEST / _SLOWEST) ** chance.random()
        angle = 180.0 * (number + chance.random()) / _FLOWS
        slow.append((length, angle, _phase(chance)))
    rows = []
    for plane in PLANES:
        row = []
        for length, angle, phase in slow:
            # How far it is moved along the crests of the flow, in lengths of the plane's waves.
            push = _SWAY * length / (2 * math.pi) / plane.length if plane.spread < _ROUND else 0.0
            along = math.sin(math.radians(plane.angle - angle))
            row.append((*_pace(length, angle), phase, 2 * math.pi * push * along))
        rows.append(row)
    return _waves(rows)


def _signed(chance: random.Random) -> float:
    return 2 * chance.random() - 1


def _pace(length: float, degrees: float) -> tuple[int, int]:
    """Return the turns in a period, down and across, of a wave with this length in pixels."""
    angle, turns = math.radians(degrees), PERIOD / UNIT / length
    return round(turns * math.sin(angle)), round(turns * math.cos(angle))


def _phase(chance: random.Random) -> int:
    return round(PERIOD * chance.random())


def _waves(rows: list[list[tuple[int, int, int, float]]]) -> Waves:
    down, across, phase, height = torch.tensor(rows, dtype=torch.float64).unbind(2)
    return Waves(down.int(), across.int(), phase.int(), height.float())


class Canvas(nn.Module):
    """Computes the canvas of frames; nothing of it is learned."""

    def __init__(self) -> None:
        super().__init__()
        self._waves, self._flows = _Sum(waves()), _Sum(flows())

    def forward(self, offset: Tensor, height: int, width: int) -> Tensor:
        """Return the canvas (N, `CHANNELS`, height, width), at the size of cells.

        ``offset`` (N, 2) is the place of the first cell on the canvas: pixels down and across, in
        quarters.
        """
        # The same canvas as in the exported network, whatever the precision of training.
        with torch.autocast(offset.device.type, enabled=False):
            return self._draw(offset, height, width)

    def _draw(self, offset: Tensor, height: int, width: int) -> Tensor:
        y, x = (
            UNIT * CELL * torch.arange(cells, dtype=torch.int32, device=offset.device)
            for cells in (height, width)
        )
        first = (UNIT * offset).round().int() % PERIOD
        rows = y[None, None, :, None] + first[:, 0, None, None, None]
        columns = x[None, None, None, :] + first[:, 1, None, None, None]
        real, imaginary = self._waves(rows, columns)
        sway, _ = self._flows(rows, columns)
        cos, sin = sway.cos(), sway.sin()
        envelope = (real.square() + imaginary.square() + SOFT).sqrt()
        planes = (real * cos - imaginary * sin, imaginary * cos + real * sin)
        return torch.cat([plane / envelope for plane in planes], dim=1)


class _Sum(nn.Module):
    """Sums waves at every crossing of rows and columns, as matrix products."""

    _down: Tensor
    _across: Tensor
    _phase: Tensor
    _height: Tensor

    def __init__(self, drawn: Waves) -> None:
        super().__init__()
        self.register_buffer("_down", drawn.down[None, :, None, :], persistent=False)
        self.register_buffer("_across", drawn.across[None, :, :, None], persistent=False)
        self.register_buffer("_phase", drawn.phase[None, :, None, :], persistent=False)
        self.register_buffer("_height", drawn.height[None, :, :, None], persistent=False)

    def forward(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum, and the sum a quarter of a wave later, (N, planes, rows, columns)."""
        down = _angles(rows * self._down + self._phase)
        across = _angles(columns * self._across)
        cos, sin = self._height * across.cos(), self._height * across.sin()
        turned = torch.cat((down.cos(), down.sin()), dim=3)
        return turned @ torch.cat((cos, -sin), dim=2), turned @ torch.cat((sin, cos), dim=2)


def _angles(steps: Tensor) -> Tensor:
    """Return steps of phase as radians minus half a turn: smaller numbers are more exact."""
    return TURN * (steps % PERIOD - PERIOD // 2).float()
