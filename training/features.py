"""VGG19's features of a picture: its first five convolutions, with normalised weights.

Applied to three sizes of the picture, they replace VGG's deeper layers at a fifth of the cost. The
weights are read from a safetensors file: ``conv1_1``, ``conv1_2``, ``conv2_1``, ``conv2_2`` and
``conv3_1``, for RGB in 0..1.
"""

from __future__ import annotations

import os
from http.client import HTTPException
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shared.contracts.errors import ConfigurationError
from training.data import read_picture

CONVOLUTIONS: Final = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")

# The file's name ends in the first digits of its SHA-256, which torch.hub checks.
_DOWNLOAD: Final = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
_LAYERS: Final = dict(zip(CONVOLUTIONS, (0, 2, 5, 7, 10), strict=True))
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_NORMALISING_PHOTOS: Final = 24
_NORMALISING_SIDE: Final = 224


class Features(nn.Module):
    """VGG19 up to relu3_1, frozen.

    ``kind`` is the type that it computes in and returns; 16 bits are enough for training.

    Raises:
        ConfigurationError: the file does not have its weights.
    """

    def __init__(self, file: Path, on: torch.device, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        try:
            weights = load_file(file)
        except (OSError, SafetensorError) as error:
            raise ConfigurationError([f"{file} is not a safetensors file: {error}"]) from error
        wanted = {f"{name}.{part}" for name in CONVOLUTIONS for part in ("weight", "bias")}
        if missing := sorted(wanted - weights.keys()):
            raise ConfigurationError([f"{file} lacks {', '.join(missing)}"])
        self._weights = {name: weights[name].to(on, kind) for name in wanted}
        self.kind = kind

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return relu1_1, relu2_1 and relu3_1: 64, 128, 256 channels at 1, 1/2 and 1/4 size."""
        edged = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
        # Pooling is thirty times faster with the channels of a pixel next to each other.
        edged = edged.to(self.kind, memory_format=torch.channels_last)
        relu1_1 = self._convolve(edged, "conv1_1", padding=0)
        relu2_1 = self._convolve(F.max_pool2d(self._convolve(relu1_1, "conv1_2"), 2), "conv2_1")
        relu3_1 = self._convolve(F.max_pool2d(self._convolve(relu2_1, "conv2_2"), 2), "conv3_1")
        return relu1_1, relu2_1, relu3_1

    def _convolve(self, x: Tensor, name: str, padding: int = 1) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.relu(F.conv2d(x, weight, bias, padding=padding))


def quickest_kind(device: torch.device) -> torch.dtype:
    """Return bfloat16 if the device can multiply it, else float32."""
    native = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if native else torch.float32


def features_file(photos: list[Path]) -> Path:
    """Return the file of VGG19's weights, made from a download of 550 MB the first time.

    Raises:
        ConfigurationError: the download fails; the sentence says how to do without a network.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylestream"
    file = cache / "vgg19_normalised_relu3_1.safetensors"
    if not file.exists():
        trained = _download(file)
        cache.mkdir(parents=True, exist_ok=True)
        chosen = photos[:: max(1, len(photos) // _NORMALISING_PHOTOS)]
        pictures = [read_picture(path, _NORMALISING_SIDE) for path in chosen]
        aside = file.with_suffix(".part")
        save_file(normalised(trained, pictures), aside)
        aside.replace(file)
    return file


def _download(file: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(_DOWNLOAD, check_hash=True)
    # A RuntimeError means that the file does not match the digest in its name.
    except (OSError, HTTPException, RuntimeError) as error:
        raise ConfigurationError(
            [
                f"VGG19's weights cannot be downloaded from {_DOWNLOAD} ({error}): train once "
                f"where they can, and give {file.name}, which that makes in {file.parent}, with "
                "--features"
            ]
        ) from error
    return weights


def normalised(trained: dict[str, Tensor], pictures: list[Tensor]) -> dict[str, Tensor]:
    """Return torchvision's VGG19 for RGB in 0..1, every channel's mean over ``pictures`` 1.

    Otherwise some channels would count a hundred times as much as others (Gatys et al., 2016).
    """
    weights = {}
    for name, layer in _LAYERS.items():
        for part in ("weight", "bias"):
            weights[f"{name}.{part}"] = trained[f"features.{layer}.{part}"].clone()
    deviation = torch.tensor(_DEVIATION)[None, :, None, None]
    first = weights["conv1_1.weight"] / deviation
    shift = (first * torch.tensor(_MEAN)[None, :, None, None]).sum((1, 2, 3))
    weights |= {"conv1_1.weight": first, "conv1_1.bias": weights["conv1_1.bias"] - shift}
    seen = [picture[None] for picture in pictures]
    for name in CONVOLUTIONS:
        weight = weights[f"{name}.weight"]
        bias = weights[f"{name}.bias"]
        pooled = [F.max_pool2d(x, 2) if name in {"conv2_1", "conv3_1"} else x for x in seen]
        seen = [F.relu(F.conv2d(x, weight, bias, padding=1)) for x in pooled]
        # A channel that is always 0 keeps its scale.
        mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
        mean = torch.where(mean > 0, mean, torch.ones_like(mean))
        weights[f"{name}.weight"] = weight / mean[:, None, None, None]
        weights[f"{name}.bias"] = bias / mean
        seen = [x / mean[None, :, None, None] for x in seen]
        if name != CONVOLUTIONS[-1]:
            following = CONVOLUTIONS[CONVOLUTIONS.index(name) + 1]
            weights[f"{following}.weight"] = (
                weights[f"{following}.weight"] * mean[None, :, None, None]
            )
    return weights
