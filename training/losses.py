"""How far a painted picture is from what is wanted, each part relative, so that 1 means "far".

The style is compared by the means and covariances of what VGG19 sees, channel by channel divided
by the painting's own spread: a raw Gram matrix is ruled by a few strong channels and gives grey
pictures. All losses are means over the pictures of a batch.

The style may be asked of the last few crops together (`Lately`). Of each crop alone it would be
all of the painting, the dark and the light of it, even of a wall: blobs that nothing in the picture
asks for, and that come and go with its noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from training.features import Features

_TINY: Final = 1e-6
_LUMA: Final = (0.299, 0.587, 0.114)
_OPPONENTS: Final = (_LUMA, (1.0, -1.0, 0.0), (0.5, 0.5, -1.0))
"""Light and dark, red and green, yellow and blue. In red, green and blue, which rise and fall
together, light and dark would be nearly all that counts, and little colours would be lost."""

_LUMA_CELL: Final = 8
_SOFT: Final = 1e-5
_FLAT: Final = 0.5
_BORDER: Final = 12


def views(pictures: Tensor, features: Features) -> dict[str, Tensor]:
    """Return everything a style is compared in: VGG19 at three sizes and colour at a quarter."""
    half = F.avg_pool2d(pictures, 2)
    quarter = F.avg_pool2d(half, 2)
    opponents = torch.tensor(_OPPONENTS, device=pictures.device)
    seen = {"colour/4": torch.einsum("oc,nchw->nohw", opponents, quarter)}
    for size, picture in (("", pictures), ("/2", half)):
        for tap, what in zip(("relu1_1", "relu2_1", "relu3_1"), features(picture), strict=True):
            seen[tap + size] = what
    seen["relu3_1/4"] = features(quarter)[2]
    return seen


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean (C) and covariance (C, C) of one view of the painting, channels scaled by ``scale``."""

    scale: Tensor
    mean: Tensor
    covariance: Tensor


def _moments(what: Tensor) -> tuple[Tensor, Tensor]:
    flat = what.flatten(2)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    return mean.squeeze(2), centred @ centred.transpose(1, 2) / flat.shape[2]


def style_statistics(painting: Tensor, features: Features) -> dict[str, Statistics]:
    """Measure the painting (1, 3, H, W) once; `style_loss` compares with it."""
    measured = {}
    with torch.no_grad():
        for name, what in views(painting, features).items():
            deviation = what.flatten(2).std(2).squeeze(0)
            # A channel that hardly varies in the painting must not rule the sum.
            scale = deviation.clamp(min=max(float(deviation.median()) / 4, _TINY))
            mean, covariance = _moments(what / scale[None, :, None, None])
            measured[name] = Statistics(scale, mean[0], covariance[0])
    return measured


@dataclass(slots=True)
class Lately:
    """What was seen of the last few paintings: for each view its mean and its mean of products.

    ``share`` is how much of it the present painting makes up. Gradients are those of a painting
    that makes up all of it.
    """

    share: float
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def join(self, name: str, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Add a view of the present painting; return mean and covariance of all together."""
        products = covariance + mean[:, :, None] * mean[:, None, :]
        present = mean.mean(0, keepdim=True), products.mean(0, keepdim=True)
        before = self.moments.get(name, tuple(moment.detach() for moment in present))
        mean, products = (
            now + (1 - self.share) * (old - now.detach())
            for now, old in zip(present, before, strict=True)
        )
        self.moments[name] = mean.detach(), products.detach()
        return mean, products - mean[:, :, None] * mean[:, None, :]


def style_loss(
    seen: dict[str, Tensor], wanted: dict[str, Statistics], lately: Lately | None = None
) -> Tensor:
    """Return the sum over all views of the relative distances of mean and covariance.

    They are those of the pictures, each by itself, or, with ``lately``, of all of late together.
    """
    total = torch.zeros((), device=next(iter(seen.values())).device)
    for name, style in wanted.items():
        mean, covariance = _moments(seen[name] / style.scale[None, :, None, None])
        if lately is not None:
            mean, covariance = lately.join(name, mean, covariance)
        far = (mean - style.mean).square().sum(1) / style.covariance.trace()
        astray = (covariance - style.covariance).square().sum((1, 2))
        total = total + (far + astray / style.covariance.square().sum()).mean()
    return total


def content_floor(wanted: dict[str, Statistics]) -> float:
    """Return the variance below which a picture counts as flat: half of the painting's."""
    return _FLAT * float(wanted["relu3_1"].scale.square().mean())


def content_loss(seen: Tensor, content: Tensor, floor: float) -> Tensor:
    """Return the squared error of relu3_1 over the spatial variance of the content's.

    ``floor`` is the least variance to divide by: a crop of plain sky, which varies nowhere, must
    not rule the batch.
    """
    variance = content.var((2, 3), correction=0).mean(1).clamp(min=floor)
    return ((seen - content).square().mean((1, 2, 3)) / variance).mean()


def luma_loss(painted: Tensor, pictures: Tensor) -> Tensor:
    """Return 1 - correlation of the coarse luma: light stays light, dark stays dark."""
    weights = torch.tensor(_LUMA, device=painted.device)[None, :, None, None]
    a, b = (
        F.avg_pool2d((x * weights).sum(1, keepdim=True), _LUMA_CELL).flatten(1)
        for x in (painted, pictures)
    )
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    # The small number under the root: a flat crop has no correlation, and must not give NaN.
    norm = (a.square().mean(1) * b.square().mean(1) + _TINY).sqrt()
    return (1 - (a * b).mean(1) / norm).mean()


def variation_loss(painted: Tensor) -> Tensor:
    """Return the total variation: the mean step from a pixel to its neighbours."""
    down = (painted[..., 1:, :] - painted[..., :-1, :]).abs().mean()
    across = (painted[..., :, 1:] - painted[..., :, :-1]).abs().mean()
    return down + across


def range_loss(painted: Tensor) -> Tensor:
    """Return how far the picture leaves 0..1."""
    return (painted - painted.clamp(0, 1)).square().mean()


def border_loss(edged: Tensor, painted: Tensor) -> Tensor:
    """Return the mean squared difference along the edges of two paintings, where it shows."""
    along = torch.ones_like(edged)
    along[..., _BORDER:-_BORDER, _BORDER:-_BORDER] = 0
    return ((edged - painted).square() * along).sum() / along.sum()


def difference(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference of two paintings of the same thing.

    A square would be ruled by the few pixels where a stroke has moved. It is rounded off below one
    level of 255, where nobody sees it.
    """
    return ((a - b).square() + _SOFT).sqrt().mean()
