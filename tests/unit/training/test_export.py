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
from training.evaluate import decibels
from training.export import read_network, write_style
from training.graph import Precision, build
from training.network import WIDE, StyleNetwork
from training.steadiness import Frames

CARD = {"title": "Blotches", "painter": "Chance", "year": 2020, "licence": "MIT"}


def make_network(seed: int) -> StyleNetwork:
    """Return a network of strong colours and strokes, none of which is trained."""
    torch.manual_seed(seed)
    network = StyleNetwork()
    with torch.no_grad():
        network.lay.weight *= 10
        network.paint.weight *= 4
        network.paint.bias += 0.5
    return network


def paint(
    model: onnx.ModelProto | bytes, picture: Frames, canvas: tuple[int, int] = (0, 0)
) -> Frames:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    session = ort.InferenceSession(data, options, ["CPUExecutionProvider"])
    given = {"frames": picture, "canvas": np.array([canvas], np.int32)}
    return session.run(None, given)[0]


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


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("place", [(0, 0), (13, -30), (400_002, 9), (-1, -400_001)])
def test_the_exported_canvas_is_where_the_trained_one_is(
    network: StyleNetwork, precision: Precision, place: tuple[int, int]
) -> None:
    wall = np.full((1, 3, 48, 64), 128, np.uint8)
    pixels = torch.tensor([place], dtype=torch.float64) / 4
    with torch.no_grad():
        painted = network.paint_whole(torch.from_numpy(wall).float() / 255, pixels)
    trained = painted.mul(255).round().clamp(0, 255).numpy()
    exported = paint(build(network, precision=precision), wall, place)
    assert np.abs(exported - trained).max() <= (1 if precision == "fp32" else 3)
    assert trained.std() > 5, "a wall without strokes would prove nothing"


def test_a_wide_frame_is_painted_as_its_parts_are_in_their_places(network: StyleNetwork) -> None:
    """So chunks, tiles and retries agree whatever they are cut into."""
    model = build(network)
    frame = noise(1, 3, 160, 400)
    whole = paint(model, frame, (7, 9))
    right = paint(model, np.ascontiguousarray(frame[..., 200:]), (7, 9 + 4 * 200))
    assert np.array_equal(whole[..., 264:-64], right[..., 64:-64])


def test_a_network_of_version_3_is_given_a_faint_canvas_and_the_same_one_every_time(
    tmp_path: Path,
) -> None:
    model = build(make_network(3))
    kept = [t for t in model.graph.initializer if not t.name.startswith("lay.")]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for entry in model.metadata_props:
        entry.value = "3" if entry.key == "network" else entry.value
    file = tmp_path / "old.onnx"
    file.write_bytes(model.SerializeToString())
    torch.manual_seed(1)
    one = read_network(file)[0]
    torch.manual_seed(2)
    other = read_network(file)[0]
    assert torch.equal(one.lay.weight, other.lay.weight)
    assert 0 < one.lay.weight.abs().max() < 0.1
    torch.testing.assert_close(one.second.weight, make_network(3).second.weight)


def test_a_network_of_version_4_stays_as_wide_as_it_is(tmp_path: Path) -> None:
    torch.manual_seed(4)
    wide = StyleNetwork(within=WIDE)
    model = build(wide)
    for entry in model.metadata_props:
        entry.value = "4" if entry.key == "network" else entry.value
    file = tmp_path / "wide.onnx"
    file.write_bytes(model.SerializeToString())
    read, _ = read_network(file)
    picture = noise(1, 3, 32, 48)
    assert np.abs(paint(build(read), picture).astype(int) - paint(model, picture)).max() <= 1


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


def test_the_gallery_accepts_a_written_style_and_it_can_be_read_back(
    network: StyleNetwork, photos: Path, tmp_path: Path
) -> None:
    file = tmp_path / "blotches.onnx"
    card = write_style(
        network,
        file,
        card=CARD,
        trunk="a trunk",
        settings={"steps": 1},
    )
    style = Gallery(tmp_path).find("blotches")
    assert style.card == card
    assert style.card.trunk == "a trunk"
    assert style.precisions == ("fp32", "fp16")
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
        )
        for name in ("one", "other")
    ]
    assert written[0] == written[1]


def test_a_foreign_network_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(StyleError, match=r"other\.onnx is not a network"):
        read_network(file)
    model = build(make_network(0))
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(StyleError, match="nothing of its version instead of 5"):
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
