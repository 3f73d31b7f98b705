"""The network with which fast style transfer began, for comparison.

Johnson et al. (ECCV 2016) with the instance norm of Ulyanov et al. (2016): 32, 64 and 128
channels, 9x9 convolutions at full size at both ends, five residual blocks.
"""

from __future__ import annotations

from torch import Tensor, nn


class _Layer(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReflectionPad2d(size // 2),
            nn.Conv2d(inputs, outputs, size, stride),
            nn.InstanceNorm2d(outputs, affine=True),
        )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _Layer(channels, channels, 3), nn.ReLU(), _Layer(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(x)
        return x + branch


class ReferenceNetwork(nn.Sequential):
    """Maps pictures (N, 3, H, W), RGB, about 0..1, to painted ones; 1.7 million weights."""

    def __init__(self) -> None:
        super().__init__(
            _Layer(3, 32, 9),
            nn.ReLU(),
            _Layer(32, 64, 3, stride=2),
            nn.ReLU(),
            _Layer(64, 128, 3, stride=2),
            nn.ReLU(),
            *(_Residual(128) for _ in range(5)),
            nn.Upsample(scale_factor=2),
            _Layer(128, 64, 3),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            _Layer(64, 32, 3),
            nn.ReLU(),
            nn.ReflectionPad2d(4),
            nn.Conv2d(32, 3, 9),
        )

    def level(self) -> None:
        """Do nothing: its last step makes no grid of pixels."""

    def forward(self, pictures: Tensor, canvas: Tensor | None = None) -> Tensor:
        """Paint pictures; it has no canvas."""
        del canvas
        painted: Tensor = super().forward(pictures)
        return painted

    def paint_whole(self, pictures: Tensor, canvas: Tensor | None = None) -> Tensor:
        """Paint pictures up to their edges, which it reflects itself."""
        painted: Tensor = self(pictures, canvas)
        return painted
