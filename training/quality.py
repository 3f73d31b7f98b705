"""The quality of painted pictures: style and content loss on photographs unseen in training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import torch
from torch import Tensor

from training.data import frames
from training.features import Features
from training.losses import (
    Statistics,
    content_losses,
    contents,
    measure,
    style_loss,
    views,
)
from training.steadiness import Frames
from training.trainer import Plan

_SIDE: Final = 208


@dataclass(frozen=True, slots=True)
class Quality:
    """Style and content loss, unweighted."""

    style: float
    content: float

    def total(self, plan: Plan) -> float:
        """Return the sum of both, weighted as in training."""
        return plan.style * self.style + plan.content * self.content

    def __str__(self) -> str:
        return f"{self.style:.2f}, {self.content:.2f}"


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares painted pictures, each alone, with the painting and with their originals."""

    wanted: dict[str, Statistics]
    features: Features

    def median(self, pairs: Iterable[tuple[Tensor, Frames]]) -> Quality:
        """Return the medians over pairs of a painted picture, 0..1, and its original.

        Means would be dominated by a few photographs, since a relative loss has no upper limit.
        """
        losses = [self._losses(painted, picture) for painted, picture in pairs]
        style, content = (median(column) for column in zip(*losses, strict=True))
        return Quality(style, content)

    def _losses(self, painted: Tensor, picture: Frames) -> tuple[float, float]:
        with torch.no_grad():
            seen = views(painted, self.features)
            kept = content_losses(seen, contents(floats(picture), self.features), self.wanted)
            return float(style_loss(measure(seen, self.wanted), self.wanted)), float(kept)


def held_out(photos: Iterable[Path]) -> list[Frames]:
    """Return the photographs at the size at which quality is judged."""
    return [frames(photo, _SIDE) for photo in photos]


def floats(frame: Frames) -> Tensor:
    """Return a frame as input of the networks in PyTorch: 0..1."""
    return torch.from_numpy(frame).float() / 255
