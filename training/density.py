"""How densely edges lie: whether a picture is of planes with few edges, or hatched all over.

Statistics of texture do not tell sharp edges between even planes, such as facets, from a hatching
of as much energy. The mean of a picture's gradients over their root mean square does: it is 1 where
the gradient is the same everywhere, and the nearer to 0 the fewer places hold all of it. As a
measure of sparsity it is known as L1/L2 (Hurley and Rickard, "Comparing measures of sparsity",
IEEE Trans. Inf. Theory 55(10), 2009).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from training.coherence import gradients

CELLS: Final = (1, 2, 4)
"""Sides of the cells, in pixels, whose light is compared with their neighbours'."""

_WINDOW: Final = 48
_FAINTEST: Final = 1e-6


def densities(pictures: Tensor) -> Tensor:
    """Return how densely edges lie in pictures (N, 3, H, W), 0..1, for each of `CELLS`.

    It is measured in windows of 48 pixels, or as large as a smaller picture, so that a wall of
    hatching is not made up for by an outline elsewhere. A window counts in proportion to its root
    mean square gradient.
    """
    return torch.stack([_density(pictures, cell) for cell in CELLS])


def density_loss(painted: Tensor, wanted: Tensor) -> Tensor:
    """Return by what share pictures exceed the densities ``wanted``, the sum over `CELLS`.

    Fewer edges than the painting has cost nothing: some photographs are of little but sky.
    """
    return (F.relu(densities(painted) - wanted) / wanted).sum()


def _density(pictures: Tensor, cell: int) -> Tensor:
    across, down = gradients(pictures, cell)
    # The small number under the root: where nothing changes, its gradient must not be NaN.
    square = across.square() + down.square() + _FAINTEST
    side = min(_WINDOW // cell, *square.shape[2:])
    mean, mean_square = (F.avg_pool2d(x, side, side // 2) for x in (square.sqrt(), square))
    return mean.mean() / mean_square.sqrt().mean()
