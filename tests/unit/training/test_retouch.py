"""A style's strokes and colours are changed without training, and it stays in its trunk."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from PIL import Image

from shared.styles.gallery import Gallery
from training import retouch
from training.canvas import PLANES
from training.data import read_picture, seeded
from training.export import read_network, write_style
from training.gates import CANVASES
from training.graph import build
from training.looks import evenness
from training.network import StyleNetwork
from training.runtime import painter

CARD = {"title": "Blotches", "painter": "Chance", "year": 2020, "licence": "MIT"}


def network(seed: int = 0) -> StyleNetwork:
    torch.manual_seed(seed)
    return StyleNetwork()


def paint(network: StyleNetwork) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.rand(1, 3, 64, 64, generator=seeded(0)))


def test_turned_strokes_are_those_of_a_canvas_whose_waves_have_changed_places() -> None:
    turned, untouched = network(), network()
    retouch.turn(turned, 13.0, 1)
    assert not torch.allclose(paint(turned), paint(untouched), atol=1e-3)
    places = [1, 2, 3, 0, *range(4, len(PLANES))]
    order = [*places, *(place + len(PLANES) for place in places)]
    canvas = untouched.canvas.forward
    untouched.canvas.forward = lambda *where: canvas(*where)[:, order]  # type: ignore[method-assign]
    torch.testing.assert_close(paint(turned), paint(untouched))


def test_turned_all_the_way_round_a_style_is_what_it_was() -> None:
    turned = network()
    retouch.turn(turned, 20.0, 2)
    retouch.turn(turned, 20.0, 1)
    assert torch.equal(paint(turned), paint(network()))


def test_strokes_of_one_length_are_those_of_a_canvas_whose_waves_of_that_length_are_as_strong() -> (
    None
):
    strengthened, untouched = network(), network()
    retouch.strengthen(strengthened, 2.5, 38.0)
    gains = torch.tensor([2.5 if plane.length == 38.0 else 1.0 for plane in PLANES] * 2)
    canvas = untouched.canvas.forward
    untouched.canvas.forward = lambda *where: (  # type: ignore[method-assign]
        canvas(*where) * gains[:, None, None]
    )
    assert not torch.allclose(paint(strengthened), paint(network()), atol=1e-3)
    torch.testing.assert_close(paint(strengthened), paint(untouched))


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[float, float], ...]:
    """Look at two places of the canvas, which takes less time than twelve."""
    monkeypatch.setattr(retouch, "CANVASES", CANVASES[:2])
    return retouch.CANVASES


def poorest(network: StyleNetwork, places: tuple[tuple[float, float], ...]) -> float:
    model = build(network).SerializeToString()
    return min(evenness(painter(model, canvas=place)) for place in places)


def test_a_style_that_leaves_walls_bare_in_places_gets_a_canvas_that_is_just_strong_enough(
    few_places: tuple[tuple[float, float], ...],
) -> None:
    style, _ = read_network(Gallery().find("udnie").path)
    retouch.strengthen(style, 0.45)
    assert poorest(style, few_places) < 0.33
    gain = retouch.lay_evenly(style)
    assert 1 < gain < 2
    assert poorest(style, few_places) >= 0.33
    retouch.strengthen(style, (gain - 0.1) / gain)
    assert poorest(style, few_places) < 0.33


@pytest.mark.usefixtures("few_places")
def test_a_style_whose_walls_have_strokes_everywhere_stays_as_it_was() -> None:
    style, untouched = (read_network(Gallery().find("the-scream").path)[0] for _ in range(2))
    assert retouch.lay_evenly(style) == 1
    assert torch.equal(paint(style), paint(untouched))


@pytest.mark.parametrize(
    "change", [retouch.turn, lambda style, *of: retouch.strengthen(style, 2, of[0])]
)
def test_waves_that_the_canvas_lacks_are_named(change: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match=r"waves of \[13.0, 20.0, 38.0\] pixels, not of 14"):
        change(network(), 14.0, 1)


PAINTING = torch.tensor([0.5, 0.4, 0.3])[:, None, None] + 0.1 * torch.randn(
    3, 64, 64, generator=seeded(1)
)


def test_a_style_is_given_the_palette_of_a_painting() -> None:
    wanted = retouch.Palette.of([PAINTING])
    recoloured = network()
    retouch.recolour(recoloured, *retouch.Palette.of([paint(network())[0]]).towards(wanted, 1.0))
    found = retouch.Palette.of([paint(recoloured)[0]])
    torch.testing.assert_close(found.mean, wanted.mean, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.covariance, wanted.covariance, atol=1e-6, rtol=1e-3)


def test_so_much_of_the_way_to_a_palette_is_a_mean_of_both_pictures() -> None:
    wanted, own = retouch.Palette.of([PAINTING]), retouch.Palette.of([paint(network())[0]])
    pictures = []
    for strength in (0.0, 0.25, 1.0):
        recoloured = network()
        retouch.recolour(recoloured, *own.towards(wanted, strength))
        pictures.append(paint(recoloured))
    none, some, whole = pictures
    torch.testing.assert_close(none, paint(network()))
    torch.testing.assert_close(some, none.lerp(whole, 0.25))


def test_a_recoloured_network_still_paints_one_colour_where_nothing_changes() -> None:
    recoloured = network()
    recoloured.level()
    before = recoloured.paint.weight.detach().clone()
    retouch.recolour(recoloured, torch.rand(3, 3, generator=seeded(2)).double(), torch.ones(3))
    changed = recoloured.paint.weight.detach().clone()
    recoloured.level()
    assert not torch.allclose(changed, before)
    torch.testing.assert_close(recoloured.paint.weight, changed)


def test_it_rewrites_a_style_so_that_the_gallery_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("one", 0), ("other", 1)):
        file = tmp_path / f"{name}.onnx"
        write_style(network(seed), file, card=CARD, trunk="a" * 64, settings={"style_size": 60})
    photos = tmp_path / "photos"
    photos.mkdir()
    for file, seed in ((photos / "photo.png", 3), (tmp_path / "painting.png", 4)):
        noise = torch.randint(256, (64, 80, 3), generator=seeded(seed), dtype=torch.uint8)
        Image.fromarray(noise.numpy()).save(file)
    asked = [
        "--turn",
        "13=1",
        "--wave",
        "38=1.5",
        "--gain",
        "2",
        "--mix",
        f"{tmp_path}/other.onnx=0.25",
    ]
    asked += ["--colours", f"{tmp_path}/painting.png", "--strength", "0.5", "--photos", f"{photos}"]
    monkeypatch.setattr(sys, "argv", ["retouch", str(tmp_path / "one.onnx"), *asked])
    retouch.main()
    expected = network()
    retouch.mix(expected, network(1), 0.25)
    retouch.turn(expected, 13.0, 1)
    retouch.strengthen(expected, 1.5, 38.0)
    retouch.strengthen(expected, 2.0)
    own = retouch.palette_of(expected, [photos / "photo.png"])
    wanted = retouch.Palette.of([read_picture(tmp_path / "painting.png", 60)])
    retouch.recolour(expected, *own.towards(wanted, 0.5))
    found, trunk = read_network(tmp_path / "one.onnx")
    torch.testing.assert_close(paint(found), paint(expected), atol=1e-5, rtol=1e-4)
    assert trunk == "a" * 64
    card = Gallery(tmp_path).styles["one"].card
    assert card.title == "Blotches"
    assert set(card.variants) == {"fp16"}


def test_styles_of_other_trunks_are_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, trunk in (("one", "a" * 64), ("other", "b" * 64)):
        file = tmp_path / f"{name}.onnx"
        write_style(network(), file, card=CARD, trunk=trunk, settings={})
    before = (tmp_path / "one.onnx").read_bytes()
    asked = ["--mix", f"{tmp_path}/other.onnx=0.25"]
    monkeypatch.setattr(sys, "argv", ["retouch", str(tmp_path / "one.onnx"), *asked])
    with pytest.raises(SystemExit, match=r"other.onnx is not of the trunk"):
        retouch.main()
    assert (tmp_path / "one.onnx").read_bytes() == before
