"""Both networks are trained and judged alike, and the judge tells better from worse."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("cv2", reason="what evaluates needs the extra 'train'")

from training import quality
from training.comparison import comparison_table
from training.data import pictures_in, read_picture
from training.evaluate import quality_table
from training.features import Features
from training.graph import build
from training.losses import style_statistics
from training.network import StyleNetwork
from training.quality import Judge, Quality, floats, held_out
from training.trainer import Plan


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge small pictures, so that a test takes a moment."""
    monkeypatch.setattr(quality, "_SIDE", 64)


@pytest.fixture(scope="module")
def features(features_file: Path) -> Features:
    return Features(features_file, torch.device("cpu"))


def test_a_picture_itself_keeps_all_content_and_the_painting_has_all_style(
    features: Features, painting: Path, photos: Path
) -> None:
    whole = read_picture(painting)[None]
    judge = Judge(style_statistics(whole, features), features)
    picture = held_out(pictures_in(photos)[:1])[0]
    itself = judge.median([(floats(picture), picture)])
    assert itself.content == pytest.approx(0)
    assert itself.style > 0.1
    painted = judge.median([(whole, (whole * 255).round().byte().numpy())])
    assert painted.style < 0.01


def test_the_total_weighs_the_losses_as_training_does() -> None:
    assert Quality(style=3.0, content=1.0).total(Plan(style=1.0, content=2.0)) == 5.0


def test_a_style_is_judged_with_its_painting_at_the_size_it_was_trained_with(
    features: Features, painting: Path, photos: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tables = []
    for size in (48, 64):
        file = tmp_path / "blotches.onnx"
        settings = Plan(style_size=size).model_dump_json()
        file.write_bytes(build(StyleNetwork(), metadata={"settings": settings}).SerializeToString())
        photo = pictures_in(photos)[:1]
        tables.append(quality_table([file], photo, {"blotches": str(painting)}, features, []))
    head, _, row, _ = tables[0].split("\n")
    assert head == "| style | photo | painted | the same few | optimised |"
    assert row.startswith("| blotches | ")
    assert row.endswith(" | - | - |"), "nobody asked for a yardstick"
    assert tables[0] != tables[1]


def test_both_networks_are_compared_after_the_same_steps(
    features: Features, painting: Path, photos: Path, tmp_path: Path
) -> None:
    table = comparison_table(
        Plan(steps=1, size=32, part=32, style_size=48),
        painting=painting,
        photos=pictures_in(photos),
        judged=pictures_in(photos)[:1],
        features=features,
        folder=tmp_path,
    )
    head, _, lean, reference, _, note, *_ = table.split("\n")
    assert head == "| network | weights | style | content | total |"
    assert lean.startswith("| lean | 42,972 | ")
    assert reference.startswith("| reference | 1,679,235 | ")
    assert note == "1 steps each on crops of 32 pixels; 1 photographs."
    assert (tmp_path / "lean" / "checkpoint.pt").exists()
