"""The lean style network: 65,000 weights, 1.2 billion multiplications for a frame of 640x360.

Most of the work happens at a quarter of the picture's size. Two strided convolutions go down,
five depthwise-separable residual blocks paint, and the way back up is a bilinear enlargement,
the half-size picture added to it, two convolutions and a depth-to-space. There is no
normalisation: a pixel depends on its neighbourhood and its place on the canvas alone, so brightness
does not pump from frame to frame, and what is trained is what runs.

Where the picture arrives at a quarter of its size, the canvas (`training.canvas`) is mixed into it:
what strokes are made of on walls, in the sky and on pure black.

Between the two convolutions that go down lies a fixed blur. A strided convolution looks at every
second pixel; without a blur it sees fine detail or not as luck has it, and what is painted jumps
when the picture moves by one (Zhang, "Making convolutional networks shift-invariant again", ICML
2019). A blur in front of the first one as well was not worth its time.

All styles are trained on from one ancestor, the trunk, so that weighted means of their weights
are networks, too (deep network interpolation: Wang et al., CVPR 2019).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn

from training.canvas import CHANNELS, Canvas

VERSION: Final = 4
"""Version 1 enlarged by repeating pixels, which showed as a weave of four pixels; version 2 went
down without a blur; version 3 had no canvas."""

MULTIPLE: Final = 4
"""Height and width of what the network is given are multiples of this."""

BEFORE: Final = 8
AFTER: Final = 12
"""So many pixels, left and above, and right and below, the edge is repeated before it is painted.

Strided convolutions look further left than right, so that the last cells have less to go by.
"""

RIM: Final = 48
"""What lies more pixels away than this hardly counts; what lies 56 away does not at all."""

CALM: Final = (1, 4, 6, 4, 1)
"""The blur on the way down, in either direction: binomial, so that it leaves nothing to alias."""

_HALF_CHANNELS: Final = 16
_QUARTER_CHANNELS: Final = 64
_BLOCKS: Final = 5
_FAINT: Final = 0.1


class Block(nn.Module):
    """A residual block: depthwise 3x3 and 1x1, twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spread_1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix_1 = nn.Conv2d(channels, channels, 1)
        self.spread_2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix_2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.mix_1(self.spread_1(x)))
        y = self.mix_2(self.spread_2(y))
        return x + y


class StyleNetwork(nn.Module):
    """Takes and gives pictures (N, 3, H, W), RGB, 0..1; what it gives may leave that range.

    ``canvas`` (N, 2) is where on the canvas the picture's upper left corner lies, in pixels down
    and across, fractions included; without it that is 0, 0.
    """

    _calm: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, _HALF_CHANNELS, 6, stride=2, padding=2)
        self.register_buffer("_calm", _blur(CALM), persistent=False)
        self.second = nn.Conv2d(_HALF_CHANNELS, _QUARTER_CHANNELS, 3, stride=2, padding=1)
        self.canvas = Canvas()
        self.lay = nn.Conv2d(CHANNELS, _QUARTER_CHANNELS, 1)
        with torch.no_grad():
            self.lay.weight *= _FAINT
            self.lay.bias.zero_()
        self.blocks = nn.ModuleList(Block(_QUARTER_CHANNELS) for _ in range(_BLOCKS))
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
        """Take the grid of two pixels out of the last step.

        Where nothing changes, the four pixels of a cell must get the same colour: so their
        weights, summed over the 3x3 neighbourhood, and their biases are made the same. What the
        four do with changes, in which their sharpness lies, stays.
        """
        assert self.paint.bias is not None
        with torch.no_grad():
            weight, bias = (p.unflatten(0, (3, 4)) for p in (self.paint.weight, self.paint.bias))
            total = weight.sum((3, 4), keepdim=True)
            weight -= (total - total.mean(1, keepdim=True)) / weight[0, 0, 0].numel()
            bias.copy_(bias.mean(1, keepdim=True).expand_as(bias))

    def paint_whole(self, pictures: Tensor, canvas: Tensor | None = None) -> Tensor:
        """Paint pictures as far as their edges, as the exported network does."""
        wide = F.pad(pictures, (BEFORE, AFTER, BEFORE, AFTER), mode="replicate")
        if canvas is None:
            canvas = pictures.new_zeros(1, 2)
        return self(wide, canvas - BEFORE)[..., BEFORE:-AFTER, BEFORE:-AFTER]


def _blur(taps: tuple[int, ...]) -> Tensor:
    """Return the weights of a blur of the half-size channels, each by itself."""
    one = torch.tensor(taps) / sum(taps)
    return torch.outer(one, one).repeat(_HALF_CHANNELS, 1, 1, 1)


def convolutions(network: StyleNetwork) -> list[tuple[str, nn.Conv2d]]:
    """Return the network's convolutions by name, in the order in which a picture meets them."""
    return [
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    ]


def inner(pictures: Tensor, margin: int) -> Tensor:
    """Drop a rim of ``margin`` pixels."""
    return pictures[..., margin:-margin, margin:-margin]
