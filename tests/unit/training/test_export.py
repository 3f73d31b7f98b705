"""An exported style paints what was trained, at every size, and can be trained on and blended."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

import onnx

from shared.contracts.errors import StyleError
from shared.styles.gallery import Gallery
from stylizer.painting.interpolation import NotInterpolable, interpolate
from training.data import pictures_in
from training.evaluate import decibels
from training.export import read_network, write_style
from training.graph import build
from training.network import StyleNetwork
from training.quantise import frames, quantise
from training.steadiness import Frames

CARD = {"title": "Blotches", "painter": "Chance", "year": 2020, "licence": "MIT"}


def make_network(seed: int) -> StyleNetwork:
    """Return a network of strong colours, none of which is trained."""
    torch.manual_seed(seed)
    network = StyleNetwork()
    with torch.no_grad():
        network.paint.weight *= 4
        network.paint.bias += 0.5
    return network


def paint(model: onnx.ModelProto | bytes, picture: Frames) -> Frames:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    session = ort.InferenceSession(data, options, ["CPUExecutionProvider"])
    return session.run(None, {"frames": picture})[0]


def noise(*shape: int) -> Frames:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def network() -> StyleNetwork:
    return make_network(0)


@pytest.mark.parametrize("shape", [(1, 3, 120, 200), (3, 3, 16, 16), (2, 3, 4, 40)])
def test_the_exported_network_paints_as_the_trained_one_does(
    network: StyleNetwork, shape: tuple[int, ...]
) -> None:
    picture = noise(*shape)
    with torch.no_grad():
        painted = network.paint_whole(torch.from_numpy(picture).float() / 255)
    trained = painted.mul(255).round().clamp(0, 255).numpy()
    exported = paint(build(network), picture)
    assert exported.shape == shape
    assert np.abs(exported - trained).max() <= 1
    assert trained.std() > 20, "a picture of one colour would prove nothing"


def test_the_fp16_network_paints_nearly_the_same(network: StyleNetwork) -> None:
    picture = noise(1, 3, 64, 64)
    exact = paint(build(network), picture)
    assert decibels(paint(build(network, precision="fp16"), picture), exact) > 50


@pytest.mark.parametrize("size", [(1, 1), (3, 16), (2, 2)])
def test_frames_off_the_grid_are_refused(network: StyleNetwork, size: tuple[int, int]) -> None:
    with pytest.raises(Exception, match=r"(?i)shape|dimension|broadcast"):
        paint(build(network), noise(1, 3, *size))


def test_a_picture_painted_in_a_batch_is_the_same_as_alone(network: StyleNetwork) -> None:
    model = build(network)
    pictures = noise(3, 3, 32, 48)
    together = paint(model, pictures)
    assert all(
        np.array_equal(together[i : i + 1], paint(model, pictures[i : i + 1])) for i in (0, 2)
    )


def test_a_written_style_hangs_in_a_gallery_and_can_be_read_back(
    network: StyleNetwork, photos: Path, tmp_path: Path
) -> None:
    file = tmp_path / "blotches.onnx"
    card = write_style(
        network,
        file,
        card=CARD,
        trunk="a trunk",
        settings={"steps": 1},
        calibration=pictures_in(photos),
    )
    style = Gallery(tmp_path).find("blotches")
    assert style.card == card
    assert style.card.trunk == "a trunk"
    assert style.precisions == ("fp32", "int8", "fp16")
    again, trunk = read_network(file)
    assert trunk == "a trunk"
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    said = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert (said["title"], said["painter"], said["year"]) == ("Blotches", "Chance", "2020")
    assert json.loads(said["settings"]) == {"steps": 1}


def test_the_same_network_is_written_to_the_same_bytes(
    network: StyleNetwork, photos: Path, tmp_path: Path
) -> None:
    written = [
        write_style(
            network,
            tmp_path / f"{name}.onnx",
            card=CARD,
            trunk="t",
            settings={},
            calibration=pictures_in(photos),
        )
        for name in ("one", "other")
    ]
    assert written[0] == written[1]


def test_the_int8_network_is_within_40_db(network: StyleNetwork, photos: Path) -> None:
    exact = build(network)
    small = quantise(exact, pictures_in(photos))
    picture = frames(pictures_in(photos)[1], 96)
    assert decibels(paint(small, picture), paint(exact, picture)) >= 40


def test_a_network_that_is_none_of_ours_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(StyleError, match=r"other\.onnx is no network"):
        read_network(file)
    model = build(make_network(0))
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(StyleError, match="nothing of its version instead of 4"):
        read_network(file)


def test_networks_of_one_trunk_blend_into_the_network_of_their_mean_weights() -> None:
    networks = [make_network(seed) for seed in (1, 2)]
    files = [build(n, metadata={"trunk": "t"}).SerializeToString() for n in networks]
    mean = StyleNetwork()
    with torch.no_grad():
        for target, *sources in zip(
            mean.parameters(), *(n.parameters() for n in networks), strict=True
        ):
            target.copy_(0.25 * sources[0] + 0.75 * sources[1])
    picture = noise(1, 3, 32, 32)
    blended = paint(interpolate(files, [25, 75]), picture)
    assert np.abs(blended.astype(int) - paint(build(mean), picture)).max() <= 1


def test_networks_of_two_trunks_do_not_blend() -> None:
    files = [
        build(make_network(0), metadata={"trunk": trunk}).SerializeToString() for trunk in "ab"
    ]
    with pytest.raises(NotInterpolable, match="different trunks"):
        interpolate(files, [50, 50])
