"""The lean style network: 43,000 weights, 0.9 billion multiplications for a frame of 640x360.

Most of the work is done at a quarter of the picture's size. Two strided convolutions reduce the
size, five depthwise-separable residual blocks paint, and a bilinear enlargement, the addition of
the half-size picture, two convolutions and a depth-to-space restore the size. There is no
normalisation: a pixel depends only on its neighbourhood and its place on the canvas, so that
brightness does not vary from frame to frame, and the network runs exactly as it was trained.

At a quarter of the size the canvas (`training.canvas`) is added, from which strokes are made on
walls, in the sky and on pure black.

Between the two strided convolutions is a fixed blur. A strided convolution samples every second
pixel; without a blur, fine detail is aliased, and the painting jumps when the picture moves by one
pixel (Zhang, "Making convolutional networks shift-invariant again", ICML 2019). A blur before the
first convolution as well was not worth its time.

All styles are trained from one ancestor, the trunk, so that weighted means of their weights are
networks as well (deep network interpolation: Wang et al., CVPR 2019).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from training.canvas import CHANNELS, Canvas

VERSION: Final = 5
"""Version 1 enlarged by repeating pixels, which was visible as a weave of four pixels; version 2
had no blur; version 3 had no canvas; version 4 had `WIDE` blocks."""

MULTIPLE: Final = 4
"""The height and width of the network's input are multiples of this."""

BEFORE: Final = 8
AFTER: Final = 12
"""The pixels by which the edge is repeated before painting: left and above, right and below.

Strided convolutions reach further to the left than to the right, so the last cells see less.
"""

RIM: Final = 48
"""Pixels further away than this have hardly any influence; beyond 56 they have none."""

CALM: Final = (1, 4, 6, 4, 1)
"""The blur before the second reduction, in both directions; binomial, so that nothing aliases."""

_HALF_CHANNELS: Final = 16
_QUARTER_CHANNELS: Final = 64
_BLOCKS: Final = 5

WIDE: Final = 64
NARROW: Final = 32
"""Channels within blocks: as many as between them, or half as many (`training.narrowing`)."""

_FAINT: Final = 0.1


class Block(nn.Module):
    """A residual block: depthwise 3x3 and 1x1, twice, with ``within`` channels in between."""

    def __init__(self, channels: int, within: int) -> None:
        super().__init__()
        self.spread_1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix_1 = nn.Conv2d(channels, within, 1)
        self.spread_2 = nn.Conv2d(within, within, 3, padding=1, groups=within)
        self.mix_2 = nn.Conv2d(within, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.mix_1(self.spread_1(x)))
        y = self.mix_2(self.spread_2(y))
        return x + y


class StyleNetwork(nn.Module):
    """Maps pictures (N, 3, H, W), RGB, 0..1, to painted ones, which may exceed that range.

    ``within`` is the number of channels within its blocks.

    ``canvas`` (N, 2) is the place of the picture's upper left corner on the canvas, in pixels down
    and across, including fractions; by default 0, 0.
    """

    _calm: Tensor

    def __init__(self, within: int = NARROW) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _HALF_CHANNELS, 6, stride=2, padding=2)
        self.register_buffer("_calm", _blur(CALM), persistent=False)
        self.second = nn.Conv2d(_HALF_CHANNELS, _QUARTER_CHANNELS, 3, stride=2, padding=1)
        self.canvas = Canvas()
        self.lay = nn.Conv2d(CHANNELS, _QUARTER_CHANNELS, 1)
        with torch.no_grad():
            self.lay.weight *= _FAINT
            self.lay.bias.zero_()
        self.blocks = nn.ModuleList(Block(_QUARTER_CHANNELS, within) for _ in range(_BLOCKS))
        self.narrow = nn.Conv2d(_QUARTER_CHANNELS, _HALF_CHANNELS, 1)
        self.finish = nn.Conv2d(_HALF_CHANNELS, _HALF_CHANNELS, 3, padding=1)
        self.paint = nn.Conv2d(_HALF_CHANNELS, 12, 3, padding=1)

    def forward(self, pictures: Tensor, canvas: Tensor | None = None) -> Tensor:
        half = F.relu(self.first(pictures))
        calm = F.conv2d(half, self._calm, padding=len(CALM) // 2, groups=_HALF_CHANNELS)
        quarter = self.second(calm)
        if canvas is None:
            canvas = quarter.new_zeros(1, 2)
        height, width = quarter.shape[2:]
        quarter = F.relu(quarter + self.lay(self.canvas(canvas, height, width)))
        for block in self.blocks:
            quarter = block(quarter)
        wide = F.interpolate(self.narrow(quarter), scale_factor=2, mode="bilinear")
        y = F.relu(wide + half)
        y = F.relu(self.finish(y))
        return F.pixel_shuffle(self.paint(y), 2)

    def level(self) -> None:
        """Remove the grid of two pixels from the last convolution.

        Where the picture is flat, the four pixels of a cell must get the same colour: so their
        weights, summed over the 3x3 neighbourhood, and their biases are made equal. Their response
        to changes, which gives sharpness, stays.
        """
        assert self.paint.bias is not None
        with torch.no_grad():
            weight, bias = (p.unflatten(0, (3, 4)) for p in (self.paint.weight, self.paint.bias))
            total = weight.sum((3, 4), keepdim=True)
            weight -= (total - total.mean(1, keepdim=True)) / weight[0, 0, 0].numel()
            bias.copy_(bias.mean(1, keepdim=True).expand_as(bias))

    def paint_whole(self, pictures: Tensor, canvas: Tensor | None = None) -> Tensor:
        """Paint pictures up to their edges, like the exported network."""
        wide = F.pad(pictures, (BEFORE, AFTER, BEFORE, AFTER), mode="replicate")
        if canvas is None:
            canvas = pictures.new_zeros(1, 2)
        return self(wide, canvas - BEFORE)[..., BEFORE:-AFTER, BEFORE:-AFTER]


def _blur(taps: tuple[int, ...]) -> Tensor:
    """Return the weights of a depthwise blur of the half-size channels."""
    one = torch.tensor(taps) / sum(taps)
    return torch.outer(one, one).repeat(_HALF_CHANNELS, 1, 1, 1)


def convolutions(network: StyleNetwork) -> list[tuple[str, nn.Conv2d]]:
    """Return the network's convolutions by name, in the order in which they are applied."""
    return [
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    ]


def inner(pictures: Tensor, margin: int) -> Tensor:
    """Crop a margin of ``margin`` pixels."""
    return pictures[..., margin:-margin, margin:-margin]
