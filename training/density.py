"""The density of edges: whether a picture consists of planes with few edges, or of dense hatching.

Statistics of texture do not distinguish sharp edges between even planes, such as facets, from
hatching with the same energy. The mean of a picture's gradients over their root mean square does:
it is 1 if the gradient is the same everywhere, and the nearer to 0 the fewer places have all of it.
As a measure of sparsity it is known as L1/L2 (Hurley and Rickard, "Comparing measures of sparsity",
IEEE Trans. Inf. Theory 55(10), 2009).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from training.coherence import gradients

CELLS: Final = (1, 2, 4)
"""Sides of the cells, in pixels, whose light is compared with that of their neighbours."""

_WINDOW: Final = 48
_FAINTEST: Final = 1e-6


def densities(pictures: Tensor) -> Tensor:
    """Return the density of edges in pictures (N, 3, H, W), 0..1, for each of `CELLS`.

    It is measured in windows of 48 pixels, or of the whole picture if that is smaller, so that an
    outline elsewhere does not compensate for a wall of hatching. Windows are weighted by their root
    mean square gradient.
    """
    return torch.stack([_density(pictures, cell) for cell in CELLS])


def density_loss(painted: Tensor, wanted: Tensor) -> Tensor:
    """Return the relative excess over the densities ``wanted``, summed over `CELLS`.

    Fewer edges than the painting's cost nothing: some photographs show little but sky.
    """
    return (F.relu(densities(painted) - wanted) / wanted).sum()


def _density(pictures: Tensor, cell: int) -> Tensor:
    across, down = gradients(pictures, cell)
    # The small number avoids a NaN in the root's gradient where nothing changes.
    square = across.square() + down.square() + _FAINTEST
    side = min(_WINDOW // cell, *square.shape[2:])
    mean, mean_square = (F.avg_pool2d(x, side, side // 2) for x in (square.sqrt(), square))
    return mean.mean() / mean_square.sqrt().mean()
