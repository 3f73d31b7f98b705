"""A published network paints like ours, and both are shown side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("cv2", reason="what measures needs the extra 'train'")

from training.peers import peer_painter, sheet


def peer(folder: Path) -> Path:
    """Write a network with the peer's inputs, whose style k paints k tenths of the picture."""
    tenths = np.arange(26, dtype=np.float32)[:, None] / 10
    graph = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["style_weights", "first"], ["row"]),
            helper.make_node("MatMul", ["row", "tenths"], ["share"]),
            helper.make_node("Mul", ["image", "share"], ["stylized"]),
        ],
        "peer",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"]),
            helper.make_tensor_value_info("style_weights", TensorProto.FLOAT, [26]),
        ],
        [helper.make_tensor_value_info("stylized", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            numpy_helper.from_array(tenths, "tenths"),
            numpy_helper.from_array(np.array([0]), "first"),
        ],
    )
    path = folder / "peer.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_the_peer_paints_bytes_in_the_style_of_that_number(tmp_path: Path) -> None:
    frame = np.full((1, 3, 8, 12), 200, np.uint8)
    for style, level in ((0, 0), (5, 100), (19, 255)):
        painted = peer_painter(peer(tmp_path), style)(frame)
        assert (painted.dtype, painted.shape) == (np.uint8, frame.shape)
        assert np.unique(painted).tolist() == [level]


def test_a_sheet_leaves_the_place_of_what_was_not_painted() -> None:
    frame = np.zeros((1, 3, 16, 24), np.uint8)
    page = np.asarray(sheet([[("one", frame), ("two", frame)], [("one", frame), ("two", None)]]))
    black = (page == 0).all(axis=2)
    assert black.sum() >= 3 * 16 * 24
    assert not black[16 + 24 + 8 :, 24 + 2 * 8 :].any()
