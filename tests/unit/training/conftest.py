"""Pictures and features so small that a training step takes a moment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def draw(seed: int, width: int, height: int) -> Image.Image:
    """Return coarse coloured blotches: something to see at every scale."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two threads on a busy machine wait for each other, and sum in another order."""
    with suppress(ModuleNotFoundError):
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        draw(seed, 200, 160).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="session")
def painting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("painting") / "painting.png"
    draw(100, 120, 90).save(file)
    return file


@pytest.fixture(scope="session")
def features_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG19's convolutions with weights by chance: enough to have styles that differ."""
    torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
    from safetensors.torch import save_file

    chance = torch.Generator().manual_seed(0)
    sizes = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128)}
    sizes |= {"conv2_2": (128, 128), "conv3_1": (128, 256)}
    weights = {}
    for name, (inputs, outputs) in sizes.items():
        spread = (2 / (9 * inputs)) ** 0.5
        weights[f"{name}.weight"] = spread * torch.randn(outputs, inputs, 3, 3, generator=chance)
        weights[f"{name}.bias"] = torch.zeros(outputs)
    file = tmp_path_factory.mktemp("features") / "features.safetensors"
    save_file(weights, file)
    return file
