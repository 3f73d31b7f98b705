"""How long strokes keep one direction: the coherence of a picture's structure tensor.

Statistics of VGG19's channels reward texture, of which dense hatching by short dabs has more than
long strokes. The structure tensor sums the gradients of light around a place. If all have the same
direction, its two eigenvalues differ, and their difference over their sum, the coherence (Weickert,
"Coherence-enhancing diffusion filtering", IJCV 1999), is 1. Between short dabs it is near 0.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from training.losses import LUMA


class Scale(NamedTuple):
    """Light in cells of ``cell`` pixels; gradients summed by a Gaussian of ``spread`` cells."""

    cell: int
    spread: float


SCALES: Final = (Scale(1, 2), Scale(2, 2), Scale(2, 4), Scale(4, 2), Scale(4, 4))
"""From strokes of a few pixels to bands of about forty."""

_REACH: Final = 3
_FAINTEST: Final = 1e-8
_TINY: Final = 1e-6


def coherences(pictures: Tensor) -> Tensor:
    """Return the mean coherence of pictures (N, 3, H, W), 0..1, at each of `SCALES`.

    Places are weighted by their gradient, the square root of the tensor's trace, so that a wall of
    faint strokes counts nearly as much as the outlines of a face.
    """
    return torch.stack([_coherence(pictures, scale) for scale in SCALES])


def coherence_loss(painted: Tensor, wanted: Tensor) -> Tensor:
    """Return the relative shortfall from the coherences ``wanted``, summed over scales.

    More coherence than the painting's costs nothing: photographs have edges of their own.
    """
    return (F.relu(wanted - coherences(painted)) / wanted).sum()


def gradients(pictures: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Return the gradients of light across and down, (N, 1, H, W) each, at the size of cells.

    They are central differences, so there are two rows and columns fewer than cells.
    """
    light = torch.einsum("c,nchw->nhw", torch.tensor(LUMA, device=pictures.device), pictures)
    cells = F.avg_pool2d(light[:, None], cell)
    across = (cells[..., 1:-1, 2:] - cells[..., 1:-1, :-2]) / 2
    down = (cells[..., 2:, 1:-1] - cells[..., :-2, 1:-1]) / 2
    return across, down


def _coherence(pictures: Tensor, scale: Scale) -> Tensor:
    across, down = gradients(pictures, scale.cell)
    products = torch.cat([across * across, down * down, across * down], dim=1)
    xx, yy, xy = _gaussian(products, scale.spread).unbind(1)
    trace = xx + yy
    # The small number avoids a NaN in the root's gradient where nothing changes.
    apart = ((xx - yy).square() + 4 * xy.square() + _FAINTEST**2).sqrt()
    weight = trace.clamp(min=_FAINTEST).sqrt()
    return (weight * apart / (trace + _TINY)).mean() / weight.mean()


def _gaussian(planes: Tensor, deviation: float) -> Tensor:
    """Blur planes (N, C, H, W), columns and rows separately; edges are repeated."""
    reach = round(_REACH * deviation)
    steps = torch.arange(-reach, reach + 1, device=planes.device)
    taps = torch.exp(-steps.square() / (2 * deviation**2))
    channels = planes.shape[1]
    column = (taps / taps.sum()).view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    planes = F.pad(planes, (reach, reach, reach, reach), mode="replicate")
    planes = F.conv2d(planes, column, groups=channels)
    return F.conv2d(planes, column.mT, groups=channels)
