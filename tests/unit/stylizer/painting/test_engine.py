"""The engine paints with the given networks, and only on the given device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from styles import FLOAT, hang, network, sha256

from shared.contracts.errors import ConfigurationError, StyleError
from shared.styles.gallery import Gallery
from stylizer.painting.checks import find_faults
from stylizer.painting.engine import OnnxEngine

GREY = np.full((2, 3, 8, 12), 200, np.uint8)


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(Gallery(), "cpu")


def levels(engine: OnnxEngine, style: str) -> list[int]:
    """Return the levels that a style's network makes of grey frames."""
    return np.unique(engine.paint(style, GREY)).tolist()


@pytest.mark.parametrize("style", list(Gallery().styles))
@pytest.mark.parametrize("size", [(16, 16), (180, 320), (8, 1024)])
def test_every_bundled_style_paints_frames_of_the_same_shape(
    engine: OnnxEngine, style: str, size: tuple[int, int]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *size), np.uint8)
    painted = engine.paint(style, frames)
    assert painted.shape == frames.shape
    assert painted.dtype == np.uint8
    assert np.abs(painted.astype(int) - frames).mean() > 10, "nothing was painted"


def test_painting_repeats_to_the_bit(engine: OnnxEngine) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64), np.uint8)
    first = engine.paint("starry-night", frames)
    assert np.array_equal(first, engine.paint("starry-night", frames))


@pytest.mark.parametrize("size", [(1, 1), (16, 18), (0, 16)])
def test_frames_off_the_networks_grid_are_refused(
    engine: OnnxEngine, size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="not on the network's grid"):
        engine.paint("starry-night", np.zeros((1, 3, *size), np.uint8))


def test_requesting_a_missing_gpu_is_a_configuration_error() -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this installation has a GPU provider")
    with pytest.raises(ConfigurationError, match="ENGINE=cuda"):
        OnnxEngine(Gallery(), "cuda")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no network", "is not a network that ONNX Runtime reads: Failed to load model"),
        (network(element=FLOAT), "one input, uint8"),
        (network(shape=("n", 4, "h", "w")), r"one input, uint8 \(N, 3, H, W\)"),
        (network(shape=("n", 3, 360, 640)), "free N, H and W"),
        (network(shape=("n", "h", "w")), r"one input, uint8 \(N, 3, H, W\)"),
        (network(outputs=2), "one output"),
    ],
)
def test_a_file_that_is_not_a_style_network_is_refused_with_the_styles_name(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    hang(tmp_path, "broken", data)
    gallery = Gallery(tmp_path)
    with pytest.raises(StyleError, match=f"'broken'.*{reason}"):
        OnnxEngine(gallery, "cpu").paint("broken", GREY)
    with pytest.raises(ConfigurationError, match=f"'broken'.*{reason}"):
        OnnxEngine(gallery, "cpu").load("broken")
    (fault,) = find_faults(gallery.find("broken"))
    assert "'broken'" in fault


def test_a_network_that_fails_on_small_frames_is_found_by_checking(tmp_path: Path) -> None:
    hang(tmp_path, "broken", network(before="GlobalAveragePool"))
    hang(tmp_path, "whole", network())
    gallery = Gallery(tmp_path)
    assert any("'broken'" in fault for fault in find_faults(gallery.find("broken")))
    assert not list(find_faults(gallery.find("whole")))


def test_a_card_that_names_another_trunk_than_its_network_is_found_by_checking(
    tmp_path: Path,
) -> None:
    hang(tmp_path, "grown", network(trunk="oak"), trunk="elm")
    (fault,) = find_faults(Gallery(tmp_path).find("grown"))
    assert "names the trunk oak, its card elm" in fault


def test_frames_are_painted_at_their_place_on_the_canvas(tmp_path: Path) -> None:
    hang(tmp_path, "moving", network(0.5, "oak", canvas=True), trunk="oak")
    hang(tmp_path, "grown", network(0.25, "oak", canvas=True))
    hang(tmp_path, "still", network(0.25, "elm"))
    engine = OnnxEngine(Gallery(tmp_path), "cpu")

    def levels(style: str, *places: list[int]) -> list[int]:
        canvas = np.array(places or [[0, 0]], np.int32)
        return engine.paint(style, GREY, canvas)[:, 0, 0, 0].tolist()

    assert engine.paint("moving", GREY)[:, 0, 0, 0].tolist() == [100, 100]
    assert levels("moving", [3, 4]) == [107, 107]
    assert levels("moving", [0, 1], [0, 2]) == [101, 102]
    assert levels("still", [0, 1], [0, 2]) == [50, 50], "it has no canvas"
    assert levels("grown:0.50,moving:0.50", [0, 1], [0, 2]) == [76, 77]
    assert levels("moving:0.50,still:0.50", [0, 2], [0, 4]) == [76, 77]
    assert not list(find_faults(Gallery(tmp_path).find("moving")))


@pytest.mark.parametrize("trunk", ["oak", None], ids=["by weights", "by pictures"])
def test_a_blend_paints_the_mean_of_its_styles(tmp_path: Path, trunk: str | None) -> None:
    hang(tmp_path, "bright", network(1.0, trunk))
    hang(tmp_path, "dim", network(0.25, trunk))
    engine = OnnxEngine(Gallery(tmp_path), "cpu")
    assert levels(engine, "bright:0.60,dim:0.40") == [140]
    assert levels(engine, "bright:0.01,dim:0.99") == [51 if trunk else 52]  # 51.5, cut or rounded
    assert levels(engine, "bright") == [200]


def test_a_blend_of_one_trunk_runs_one_network_and_any_other_runs_each(tmp_path: Path) -> None:
    hang(tmp_path, "bright", network(1.0, "oak"))
    hang(tmp_path, "dim", network(0.25, "oak"))
    hang(tmp_path, "wild", network(0.5, "elm"))
    engine = OnnxEngine(Gallery(tmp_path), "cpu")
    engine.paint("bright:0.50,dim:0.50", GREY)
    assert engine.loaded == {"bright:0.50,dim:0.50"}
    engine.paint("bright:0.50,wild:0.50", GREY)
    assert engine.loaded == {"bright:0.50,dim:0.50", "bright:0.50,wild:0.50", "bright", "wild"}


def test_an_unknown_style_of_a_blend_is_refused_by_name(engine: OnnxEngine) -> None:
    with pytest.raises(StyleError, match="no style 'nope'"):
        engine.paint("nope:0.50,starry-night:0.50", GREY)


def test_a_precision_takes_the_file_that_the_card_names_for_it(tmp_path: Path) -> None:
    halved = network(0.5, "oak")
    for gain, name in enumerate(Gallery().styles):
        data = network(0.25 + 0.75 * (gain == 0), "oak")
        hang(tmp_path, name, data, variants={"fp16": sha256(halved)})
        (tmp_path / f"{name}.fp16.onnx").write_bytes(halved)
    gallery = Gallery(tmp_path)
    first, second = list(gallery.styles)[:2]
    blend = f"{first}:0.50,{second}:0.50"
    full, fast = OnnxEngine(gallery, "cpu"), OnnxEngine(gallery, "cpu", precision="fp16")
    assert (levels(full, first), levels(full, second)) == ([200], [50])
    assert (levels(fast, first), levels(fast, second)) == ([100], [100])
    assert (levels(full, blend), levels(fast, blend)) == ([125], [100])


def test_styles_without_the_precision_asked_for_are_all_named(tmp_path: Path) -> None:
    hang(tmp_path, "one", network())
    hang(tmp_path, "two", network())
    with pytest.raises(ConfigurationError) as refusal:
        OnnxEngine(Gallery(tmp_path), "cpu", precision="fp16")
    for name in ("one", "two"):
        assert any(
            f"PRECISION=fp16: style {name!r} has no fp16 network ({name}.fp16.onnx" in problem
            for problem in refusal.value.problems
        )


def test_memory_is_bounded_however_many_blends_are_asked_for(tmp_path: Path) -> None:
    hang(tmp_path, "bright", network(1.0, "oak"))
    hang(tmp_path, "dim", network(0.0, "oak"))
    engine = OnnxEngine(Gallery(tmp_path), "cpu", keep=3)
    for percent in range(2, 20):
        blend = f"bright:{percent / 100:.2f},dim:{1 - percent / 100:.2f}"
        assert levels(engine, blend)[0] in (2 * percent - 1, 2 * percent)
        assert blend in engine.loaded
        assert len(engine.loaded) <= 3


def test_the_steps_of_a_fade_are_blends_that_do_not_stay(tmp_path: Path) -> None:
    hang(tmp_path, "bright", network(1.0, "oak"))
    hang(tmp_path, "dim", network(0.0, "oak"))
    engine = OnnxEngine(Gallery(tmp_path), "cpu", keep=2)
    assert levels(engine, "bright") == [200]
    for percent in range(5, 100, 5):
        blend = f"bright:{percent / 100:.2f},dim:{1 - percent / 100:.2f}"
        step = engine.paint(blend, GREY, passing=True)
        assert step[0, 0, 0, 0] in (2 * percent - 1, 2 * percent)
    assert "bright" in engine.loaded, "the fade drove out what is painted before it"
    assert len(engine.loaded) <= 9
