"""The losses: how far a painted picture is from its goals, each relative, so that 1 means "far".

The style is compared by the means and covariances of VGG19's channels, each divided by its standard
deviation in the painting: a raw Gram matrix is dominated by a few strong channels and gives grey
pictures. All losses are means over the pictures of a batch.

The style can be measured over the last few crops together (`Lately`). In each crop alone, even a
wall would have to show all of the painting, dark and light: blobs that nothing in the picture calls
for, and that come and go with its noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from training.features import Features

_TINY: Final = 1e-6
LUMA: Final = (0.299, 0.587, 0.114)
_OPPONENTS: Final = (LUMA, (1.0, -1.0, 0.0), (0.5, 0.5, -1.0))
"""Light and dark, red and green, yellow and blue. Red, green and blue rise and fall together: with
them, light and dark would dominate, and faint colours would be lost."""

_LUMA_CELL: Final = 4
_HUE_CELL: Final = 8
_COLOURFUL: Final = 0.002
_SOFT: Final = 1e-5
_FLAT: Final = 0.5
_BORDER: Final = 12
_STRIP: Final = 8
_STRIPS: Final = 5
_GRID: Final = 4
_WEAVE_CELLS: Final = 8
_WINDOWS: Final = {"relu1_1": 48, "relu2_1": 24, "relu1_1/2": 48, "relu2_1/2": 24}
"""The views that are compared window by window, and a window's side in cells of the view: 48 and
96 pixels of the picture."""


def views(
    pictures: Tensor, features: Features, part: tuple[slice, slice] | None = None
) -> dict[str, Tensor]:
    """Return the views in which styles are compared: VGG19 at three sizes, colour at a quarter.

    ``part`` is the rows and columns of which the full size is used, which is enough for fine
    texture.
    """
    half = F.avg_pool2d(pictures, 2)
    quarter = F.avg_pool2d(half, 2)
    opponents = torch.tensor(_OPPONENTS, device=pictures.device)
    seen = {"colour/4": torch.einsum("oc,nchw->nohw", opponents, quarter)}
    full = pictures if part is None else pictures[..., *part]
    for size, picture in (("", full), ("/2", half)):
        for tap, what in zip(("relu1_1", "relu2_1", "relu3_1"), features(picture), strict=True):
            seen[tap + size] = what
    seen["relu3_1/4"] = features(quarter)[2]
    return seen


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean (C) and covariance (C, C) of one view of the painting, channels scaled by ``scale``.

    ``within`` is the covariance (C, C) within windows, the mean over all windows of the painting.
    """

    scale: Tensor
    mean: Tensor
    covariance: Tensor
    within: Tensor | None = None


class _Moments(NamedTuple):
    """Means (N, C), covariances (N, C, C), and those within each window (windows, C, C)."""

    mean: Tensor
    covariance: Tensor
    within: Tensor | None


def _moments(name: str, what: Tensor, scale: Tensor) -> _Moments:
    """Return a view's moments, its channels divided by ``scale``.

    What is beyond the last whole window, on the right and below, is in no window.
    """
    side, spread = _WINDOWS.get(name, 0), scale[:, None] * scale
    rows, columns = (length // side if side else 0 for length in what.shape[2:])
    places = what.permute(0, 2, 3, 1)
    if not rows or not columns:
        mean, covariance = _spread(places.flatten(1, 2))
        return _Moments(mean / scale, covariance / spread, None)
    whole = places[:, : rows * side, : columns * side]
    windows = whole.unflatten(2, (columns, side)).unflatten(1, (rows, side)).transpose(2, 3)
    means, within = _spread(windows.flatten(0, 2).flatten(1, 2))
    if whole.shape == places.shape:
        # The windows cover everything, so that nothing is multiplied twice.
        mean, between = _spread(means.unflatten(0, (len(what), -1)))
        covariance = within.unflatten(0, (len(what), -1)).mean(1) + between
    else:
        mean, covariance = _spread(places.flatten(1, 2))
    return _Moments(mean / scale, covariance / spread, within / spread)


def _spread(places: Tensor) -> tuple[Tensor, Tensor]:
    """Return means (N, C) and covariances (N, C, C) over places (N, places, C), as float32."""
    mean, covariance = _Spread.apply(places)
    return mean, covariance


class _Spread(torch.autograd.Function):
    """Means and covariances in one pass, with one matrix product in the backward pass.

    Products are computed in the input's type after subtracting the means: in 16 bits the covariance
    of a wall, which hardly varies, would be lost otherwise.
    """

    @staticmethod
    def forward(ctx: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        mean = places.mean(1, dtype=torch.float32)
        around = places - mean[:, None].to(places.dtype)
        ctx.save_for_backward(around)
        return mean, (around.transpose(1, 2) @ around).float() / places.shape[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (around,) = ctx.saved_tensors
        mean, covariance = (each / around.shape[1] for each in gradients)
        both = covariance + covariance.transpose(1, 2)
        return torch.baddbmm(mean[:, None].to(around.dtype), around, both.to(around.dtype))


def style_statistics(painting: Tensor, features: Features) -> dict[str, Statistics]:
    """Measure the painting (1, 3, H, W) once; `style_loss` compares with it."""
    measured = {}
    with torch.no_grad():
        for name, what in views(painting, features).items():
            deviation = what.float().flatten(2).std(2).squeeze(0)
            # A channel that hardly varies in the painting must not dominate the sum.
            scale = deviation.clamp(min=max(float(deviation.median()) / 4, _TINY))
            moments = _moments(name, what, scale)
            within = None if moments.within is None else moments.within.mean(0)
            measured[name] = Statistics(scale, moments.mean[0], moments.covariance[0], within)
    return measured


def measure(seen: dict[str, Tensor], wanted: dict[str, Statistics]) -> dict[str, _Moments]:
    """Return the moments of all views, scaled like the painting's."""
    return {name: _moments(name, seen[name], style.scale) for name, style in wanted.items()}


@dataclass(slots=True)
class Lately:
    """Running averages over the last few paintings: for each view its mean and mean of products.

    ``share`` is the weight of the present painting. Gradients are as if its weight were 1.
    """

    share: float
    moments: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def join(self, name: str, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Add a view of the present painting; return the mean and covariance of all together."""
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
    measured: dict[str, _Moments], wanted: dict[str, Statistics], lately: Lately | None = None
) -> Tensor:
    """Return the sum over all views of the relative distances of mean and covariance.

    They are those of each picture alone or, with ``lately``, of the last pictures together.
    """
    losses = []
    for name, style in wanted.items():
        mean, covariance, _ = measured[name]
        if lately is not None:
            mean, covariance = lately.join(name, mean, covariance)
        far = (mean - style.mean).square().sum(1) / style.covariance.trace()
        astray = (covariance - style.covariance).square().sum((1, 2))
        losses.append((far + astray / style.covariance.square().sum()).mean())
    return torch.stack(losses).sum()


def local_loss(measured: dict[str, _Moments], wanted: dict[str, Statistics]) -> Tensor:
    """Return how far the texture of each window is from that of the painting's windows.

    Measured over a crop as a whole, a few spots with much texture could make up for a wall without
    any. The covariance is that within a window, whatever its colour. Standard deviations count as
    well, because the covariance has no gradient where there is no texture.
    """
    losses = []
    for name, style in wanted.items():
        found, wished = measured[name].within, style.within
        if found is None or wished is None:
            continue
        astray = (found - wished).square().sum((1, 2)) / wished.square().sum()
        deviations, own = (
            (x.diagonal(dim1=-2, dim2=-1).clamp(min=0) + _SOFT).sqrt() for x in (found, wished)
        )
        weak = (deviations - own).square().sum(1) / own.square().sum()
        losses.append((astray + weak).mean())
    return torch.stack(losses).sum() if losses else torch.zeros(())


def content_floor(wanted: dict[str, Statistics], view: str) -> float:
    """Return the variance below which a picture counts as flat: half of the painting's."""
    return _FLAT * float(wanted[view].scale.square().mean())


def content_loss(seen: Tensor, content: Tensor, floor: float) -> Tensor:
    """Return the squared error of relu3_1 over the spatial variance of the content's.

    ``floor`` is the least variance to divide by, so that a crop of plain sky does not dominate the
    batch.
    """
    seen, content = seen.float(), content.float()
    variance = content.var((2, 3), correction=0).mean(1).clamp(min=floor)
    return ((seen - content).square().mean((1, 2, 3)) / variance).mean()


def content_losses(
    seen: dict[str, Tensor], content: dict[str, Tensor], wanted: dict[str, Statistics]
) -> Tensor:
    """Return the sum of `content_loss` over the views that `contents` gives."""
    losses = [
        content_loss(seen[view], what, content_floor(wanted, view))
        for view, what in content.items()
    ]
    return torch.stack(losses).sum()


def contents(pictures: Tensor, features: Features) -> dict[str, Tensor]:
    """Return the content of pictures: relu3_1 at half and at a quarter of the size.

    Full size would preserve the photograph's texture where strokes should be.
    """
    with torch.no_grad():
        half = F.avg_pool2d(pictures, 2)
        return {
            "relu3_1/2": features(half)[2],
            "relu3_1/4": features(F.avg_pool2d(half, 2))[2],
        }


def luma_loss(painted: Tensor, pictures: Tensor) -> Tensor:
    """Return 1 - correlation of the coarse luma, so that light stays light and dark stays dark."""
    weights = torch.tensor((LUMA,), device=painted.device)
    a, b = (_coarse(x, weights, _LUMA_CELL) for x in (painted, pictures))
    # The small number avoids a NaN for a flat crop, which has no correlation.
    norm = (a.square().mean(2) * b.square().mean(2) + _TINY).sqrt()
    return (1 - (a * b).mean(2) / norm).mean()


def hue_loss(painted: Tensor, pictures: Tensor) -> Tensor:
    """Return 1 - correlation of red-green and of yellow-blue, where a picture has colours."""
    opponents = torch.tensor(_OPPONENTS[1:], device=painted.device)
    a, b = (_coarse(x, opponents, _HUE_CELL) for x in (painted, pictures))
    colour = b.square().mean(2)
    norm = (a.square().mean(2) * colour + _TINY).sqrt()
    return ((colour / _COLOURFUL).clamp(max=1) * (1 - (a * b).mean(2) / norm)).mean()


def _coarse(pictures: Tensor, weights: Tensor, cell: int) -> Tensor:
    """Return weighted sums of colours (N, sums, cells), averaged over cells, minus their mean."""
    coarse = F.avg_pool2d(torch.einsum("oc,nchw->nohw", weights, pictures), cell).flatten(2)
    return coarse - coarse.mean(2, keepdim=True)


def variation_loss(painted: Tensor) -> Tensor:
    """Return the total variation: the mean step from a pixel to its neighbours."""
    down = (painted[..., 1:, :] - painted[..., :-1, :]).abs().mean()
    across = (painted[..., :, 1:] - painted[..., :, :-1]).abs().mean()
    return down + across


def range_loss(painted: Tensor) -> Tensor:
    """Return how far the picture leaves 0..1."""
    return (painted - painted.clamp(0, 1)).square().mean()


def border_loss(edged: Tensor, painted: Tensor) -> Tensor:
    """Return the mean absolute difference of two paintings along their edges.

    Strokes may end differently at an edge, but the colour of a wall must not: so the mean colour of
    strips along each edge counts as well, further into the picture.
    """
    differences = edged - painted
    strips = [
        F.avg_pool1d(differences.mean(side), _STRIP)[..., strip]
        for side in (2, 3)
        for strip in (slice(_STRIPS), slice(-_STRIPS, None))
    ]
    frame = [
        differences[..., :_BORDER, :],
        differences[..., -_BORDER:, :],
        differences[..., _BORDER:-_BORDER, :_BORDER].mT,
        differences[..., _BORDER:-_BORDER, -_BORDER:].mT,
    ]
    return _absolute(torch.cat([edge.flatten(2) for edge in frame], dim=2)) + _absolute(
        torch.stack(strips)
    )


def grid_loss(painted: Tensor) -> Tensor:
    """Return how much the light of pixels differs by their place within a cell of the network.

    Nothing that a network paints may repeat every four pixels, neither as a grid nor as a weave
    along strokes.
    """
    weights = torch.tensor((LUMA,), device=painted.device)
    light = torch.einsum("oc,nchw->nohw", weights, painted)
    # Without its surroundings, whose slope would count as a difference within a cell.
    fine = F.avg_pool2d(light, 5, 1, 2, count_include_pad=False)
    cells = F.pixel_unshuffle(light - fine, _GRID)
    return _absolute(F.avg_pool2d(cells, _WEAVE_CELLS))


def difference(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference of two paintings of the same thing.

    Squares would be dominated by the few pixels where a stroke has moved. Below one level of 255,
    which is invisible, it is smooth.
    """
    return _absolute(a - b)


def _absolute(differences: Tensor) -> Tensor:
    return (differences.square() + _SOFT).sqrt().mean()
