"""The mean of networks has the mean of their weights, and unlike networks have no mean."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from styles import network, weights, with_trunk

from shared.styles.gallery import Gallery
from stylizer.painting.interpolation import NotInterpolable, interpolate


def painted(data: bytes, level: int = 200) -> int:
    """Return what a network makes of a grey picture."""
    session = ort.InferenceSession(data)
    frames = np.full((1, 3, 4, 4), level, np.uint8)
    (result,) = session.run(None, {"frames": frames})
    assert len(np.unique(result)) == 1
    return int(result[0, 0, 0, 0])


def network_fp16(weight: float) -> bytes:
    """Return a network, of one tensor in half precision, that is only read."""
    tensor = numpy_helper.from_array(np.array([weight], np.float16), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1])
    nodes = [helper.make_node("Identity", ["w"], ["x"])]
    return helper.make_model(
        helper.make_graph(nodes, "tiny", [], [value], [tensor])
    ).SerializeToString()


@pytest.mark.parametrize(
    ("percents", "level"),
    [([50, 50], 125), ([100, 0], 50), ([0, 100], 200), ([20, 80], 170)],
)
def test_a_network_in_between_paints_with_the_mean_of_the_weights(
    percents: list[int], level: int
) -> None:
    dim, bright = network(0.25, "oak"), network(1.0, "oak")
    assert (painted(dim), painted(bright)) == (50, 200)
    assert painted(interpolate([dim, bright], percents)) == level


def test_three_networks_have_a_mean_too() -> None:
    networks = [network(gain, "oak") for gain in (0.0, 0.5, 1.0)]
    assert painted(interpolate(networks, [50, 30, 20])) == 200 * 35 // 100


def test_the_mean_of_real_networks_has_the_mean_of_every_weight_and_nothing_else_changed() -> None:
    # Given the bundled networks, told to be of one trunk
    one, other = (with_trunk(s.network(), "oak") for s in list(Gallery().styles.values())[:2])
    # When they are averaged
    mean = interpolate([one, other], [25, 75])
    # Then every weight is the mean, as the ONNX project's own code reads it
    a, b, c = weights(one), weights(other), weights(mean)
    assert len(a) > 10
    for name in a:
        assert np.allclose(0.25 * a[name] + 0.75 * b[name], c[name], rtol=1e-6, atol=1e-6)
    # And at the ends of the scale there are the two themselves
    for name, array in weights(interpolate([one, other], [0, 100])).items():
        assert np.array_equal(array, b[name])


def test_weights_that_are_kept_in_another_field_have_the_same_mean() -> None:
    one, other = network(0.25, "oak"), network(1.0, "oak", raw=False)
    assert painted(interpolate([one, other], [50, 50])) == 125


def test_networks_in_half_precision_have_a_mean_too() -> None:
    one, other = (with_trunk(network_fp16(gain), "oak") for gain in (0.25, 1.0))
    assert weights(interpolate([one, other], [50, 50]))["w"].tolist() == [0.625]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (network(1.0, "elm"), "different trunks"),
        (network(1.0, None), "does not name its trunk"),
        (network(1.0, "oak", before="Neg"), "different structures"),
        (network(1.0, "oak", label=b"x"), "different structures"),
        (b"no network", "cannot be read"),
        (b"", "does not name its trunk"),
    ],
)
def test_unlike_networks_have_no_mean(other: bytes, reason: str) -> None:
    with pytest.raises(NotInterpolable, match=reason):
        interpolate([network(0.25, "oak"), other], [50, 50])


def test_weights_that_are_whole_numbers_have_no_mean() -> None:
    one, other = (network(0.5, "oak", label=label) for label in (b"xy", b"xz"))
    assert painted(interpolate([one, one], [50, 50])) == 100
    with pytest.raises(NotInterpolable, match="'label' are not floating-point numbers"):
        interpolate([one, other], [50, 50])


def test_a_file_that_is_cut_off_anywhere_has_no_mean() -> None:
    whole = network(0.5, "oak", label=b"xy")
    for end in range(len(whole)):
        with pytest.raises(NotInterpolable):
            interpolate([whole, whole[:end]], [50, 50])
