"""What ``stylestream train`` checks before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.commands import training as commands_training
from shared.contracts.errors import ConfigurationError

COMMAND = Path(sys.executable).with_name("stylestream")

pytestmark = pytest.mark.usefixtures("bare_environment")


class Training:
    """Runs ``train`` in a process of its own, with an empty cache and no way to the network."""

    def __init__(self, folder: Path, port: int) -> None:
        pytest.importorskip("torch", reason="training needs the extra 'train'")
        self.painting, self._folder = folder / "painting.png", folder
        (folder / "photos").mkdir()
        for path in (self.painting, folder / "photos" / "photo.png"):
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
        self._environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "TORCH_HOME": str(folder / "torch"),
            "https_proxy": f"http://127.0.0.1:{port}",
        }

    def refused(self, *more: str) -> str:
        given = ("--style", self.painting, "--content", "photos", "-o", "mine.onnx", *more)
        ran = subprocess.run(
            [COMMAND, "train", *given],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert ran.returncode == 2, ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr


@pytest.fixture
def training(tmp_path: Path, unused_tcp_port: int) -> Training:
    return Training(tmp_path, unused_tcp_port)


def test_weights_that_cannot_be_downloaded_can_be_given(training: Training) -> None:
    said = training.refused()
    assert "VGG19's weights cannot be downloaded" in said
    assert said.strip().endswith("with --features")


def test_a_painting_is_looked_at_before_anything_is_downloaded(training: Training) -> None:
    whole = training.painting.read_bytes()
    for broken in (b"no picture", whole[: len(whole) // 2]):
        training.painting.write_bytes(broken)
        assert f"{training.painting} is not a picture: " in training.refused()


def test_a_training_begins_with_a_style_that_is_there(training: Training) -> None:
    assert "--from nope: there is no style 'nope'" in training.refused("--from", "nope")


def test_photographs_to_practise_on_are_found_or_asked_for(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_training, "PHOTOGRAPHS", (training.painting.parent / "photos",))
    with pytest.raises(ConfigurationError, match="name a folder with --content; there are fewer"):
        commands_training._find_photographs()
    monkeypatch.setattr(commands_training, "LEAST_PHOTOGRAPHS", 1)
    assert commands_training._find_photographs() == training.painting.parent / "photos"
