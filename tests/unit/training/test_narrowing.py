"""Narrow networks paint like the wide ones that they are made of, and can be blended."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from stylizer.painting.interpolation import interpolate
from training import distil
from training.data import pictures_in
from training.export import read_network, write_style
from training.narrowing import choose_channels, narrowed
from training.network import NARROW, WIDE, StyleNetwork

CARD = {"title": "Blotches", "painter": "Chance", "year": 2020, "licence": "MIT"}


def wide_network(seed: int) -> StyleNetwork:
    torch.manual_seed(seed)
    network = StyleNetwork(within=WIDE)
    with torch.no_grad():
        network.paint.weight *= 4
        network.paint.bias += 0.5
    network.level()
    return network


def repeat_half(network: StyleNetwork, factor: float) -> None:
    """Make every second channel within blocks a multiple of the one before it."""
    with torch.no_grad():
        for block in network.blocks:
            for layer, by in ((block.mix_1, factor), (block.spread_2, 1.0)):
                layer.weight[1::2] = by * layer.weight[::2]
                layer.bias[1::2] = by * layer.bias[::2]


def test_channels_that_others_stand_in_for_are_left_out_without_a_trace(photos: Path) -> None:
    networks = [wide_network(seed) for seed in (0, 1)]
    for factor, network in zip((0.5, 3.0), networks, strict=True):
        repeat_half(network, factor)
    moments = [distil.measure(network, pictures_in(photos)) for network in networks]
    kept = choose_channels(networks, moments)
    assert {len(block) for block in kept} == {NARROW}
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for network, read in zip(networks, moments, strict=True):
        narrow = narrowed(network, read, kept)
        with torch.no_grad():
            painted, wanted = narrow.paint_whole(picture), network.paint_whole(picture)
        assert wanted.std() > 0.05, "a picture of one colour would prove nothing"
        torch.testing.assert_close(painted, wanted, atol=1e-3, rtol=0)


def test_a_narrow_network_learns_what_the_wide_one_paints(photos: Path) -> None:
    wide, files = wide_network(0), pictures_in(photos)
    moments = distil.measure(wide, files)
    narrow = narrowed(wide, moments, choose_channels([wide], [moments]))
    losses = list(distil.distil(wide, narrow, files, steps=12))
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])


@pytest.fixture
def styles(tmp_path: Path) -> Path:
    folder = tmp_path / "wide"
    folder.mkdir()
    for seed, name in enumerate(("one", "other")):
        write_style(
            wide_network(seed), folder / f"{name}.onnx", card=CARD, trunk="a trunk", settings={}
        )
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["distil", *map(str, arguments)])
    distil.main()


def test_the_styles_of_a_folder_become_narrow_and_can_be_blended(
    styles: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "narrow"
    for name in ("one", "other"):
        run(monkeypatch, styles, "--photos", photos, "-o", output, "--steps", 1, "--name", name)
    (one, trunk), (other, others_trunk) = (
        read_network(output / f"{name}.onnx") for name in ("one", "other")
    )
    assert trunk == others_trunk != "a trunk"
    assert one.blocks[0].mix_1.weight.shape[0] == NARROW
    files = [(output / f"{name}.onnx").read_bytes() for name in ("one", "other")]
    assert interpolate(files, [50, 50])
    assert not torch.equal(one.first.weight, other.first.weight)


def test_a_style_that_the_folder_lacks_is_named(
    styles: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="it has no third"):
        run(monkeypatch, styles, "--photos", photos, "-o", tmp_path / "narrow", "--name", "third")


def test_styles_of_several_trunks_are_refused(
    styles: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_style(wide_network(3), styles / "third.onnx", card=CARD, trunk="another", settings={})
    with pytest.raises(SystemExit, match="must hold networks of one trunk, not 2"):
        run(monkeypatch, styles, "--photos", photos, "-o", tmp_path / "narrow")
    assert not (tmp_path / "narrow").exists()
