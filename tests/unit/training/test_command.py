"""``stylestream train`` makes a style that paints, or says in one sentence what is missing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from shared.styles.gallery import Gallery
from stylizer.painting.engine import OnnxEngine
from tests.unit.training.conftest import draw


def call(
    *, painting: Path, photos: Path, features: Path, start: Path, output: Path, steps: int = 2
) -> int | str | None:
    """Run the command with a plan of a few small steps; return its exit code."""
    words = ["--style", painting, "--content", photos, "--features", features, "--from", start]
    words += ["--steps", steps, "--style-size", 48, "--title", "Blotches", "--year", 2020]
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, words), "-o", str(output)])
    return ended.value.code


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
    from training.graph import build
    from training.network import StyleNetwork

    torch.manual_seed(0)
    file = tmp_path / "start.onnx"
    file.write_bytes(build(StyleNetwork(), metadata={"trunk": "oak"}).SerializeToString())
    return file


def test_it_makes_a_style_that_the_gallery_accepts_and_that_paints(
    photos: Path,
    painting: Path,
    features_file: Path,
    start: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "styles"
    folder.mkdir()
    output = folder / "my-blotches.onnx"
    given = {"painting": painting, "photos": photos, "features": features_file, "start": start}
    assert call(**given, output=output) == 0
    assert "my-blotches.onnx: Blotches, unknown" in capsys.readouterr().out
    gallery = Gallery(folder)
    card = gallery.find("my-blotches").card
    assert (card.title, card.year, card.trunk) == ("Blotches", 2020, "oak")
    frames = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    assert OnnxEngine(gallery, "cpu").paint("my-blotches", frames).shape == frames.shape
    record = json.loads((folder / "my-blotches.training/record.json").read_text())
    assert record["settings"]["steps"] == 2
    assert record["curve"][-1]["step"] == 2
    assert record["cpu_s_per_step"] > 0
    assert (folder / "my-blotches.training/curve.png").stat().st_size < 20_000


def test_a_canvas_too_faint_for_even_walls_is_strengthened_once(
    photos: Path,
    painting: Path,
    features_file: Path,
    start: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from training import retouch
    from training.export import read_network, write_style

    monkeypatch.setattr(retouch, "CANVASES", retouch.CANVASES[:1])
    faint, trunk = read_network(Gallery().find("udnie").path)
    retouch.strengthen(faint, 0.42)
    card = {"title": "Faint", "painter": "Chance", "year": 2020, "licence": "MIT"}
    write_style(faint, start, card=card, trunk=trunk, settings={})
    output = tmp_path / "style.onnx"
    given = {"painting": painting, "photos": photos, "features": features_file, "start": start}
    assert call(**given, output=output, steps=1) == 0
    record = json.loads((tmp_path / "style.training/record.json").read_text())
    assert record["gain"] > 1
    style, _ = read_network(output)
    assert style.lay.weight.norm() > 1.05 * faint.lay.weight.norm()
    trained = output.read_bytes()
    assert call(**given, output=output, steps=1) == 0
    assert output.read_bytes() == trained, "continued from its last step, it is the same style"


def test_every_problem_is_named_at_once(
    photos: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.png"
    code = call(
        painting=missing,
        photos=tmp_path / "nowhere",
        features=missing,
        start=start,
        output=tmp_path / "My Style.onnx",
    )
    assert code == 2
    told = capsys.readouterr().err
    assert f"{missing}: no such file" in told
    assert "--content" in told
    assert "lower-case letters, digits and hyphens" in told


def test_photographs_that_cannot_be_read_are_named_and_left_out(
    photos: Path,
    painting: Path,
    features_file: Path,
    start: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(photos, mixed)
    (mixed / "damaged [1].jpg").write_bytes((mixed / "0.png").read_bytes()[:5000])
    given = {"painting": painting, "features": features_file, "start": start}
    assert call(**given, photos=mixed, output=tmp_path / "my-blotches.onnx", steps=1) == 0
    told = capsys.readouterr().err
    assert f"left out: {mixed}/damaged [1].jpg is not a picture that can be read" in told
    assert json.loads((tmp_path / "my-blotches.training/record.json").read_text())["photos"] == 3


def test_a_painting_like_a_ribbon_is_refused(
    photos: Path,
    features_file: Path,
    start: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ribbon = tmp_path / "ribbon.png"
    draw(0, 70 * 17, 70).save(ribbon)
    given = {"painting": ribbon, "features": features_file, "start": start}
    assert call(**given, photos=photos, output=tmp_path / "my-ribbon.onnx") == 2
    assert "more than 16 times as long as it is wide" in capsys.readouterr().err


def test_without_pytorch_it_names_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "training"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    anywhere = dict.fromkeys(("painting", "photos", "features", "start", "output"), tmp_path)
    assert call(**anywhere) == 2
    assert capsys.readouterr().err == (
        "stylestream: training needs the package torch: install the extra 'train' (in a checkout: "
        "scripts/setup --train)\n"
    )
