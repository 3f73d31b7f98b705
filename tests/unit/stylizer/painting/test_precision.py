"""Networks in bfloat16, on processors that have it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from shared.contracts.errors import ConfigurationError, StyleError
from shared.styles.gallery import Gallery
from stylizer.painting import bfloat16, precision
from stylizer.painting.bfloat16 import Bfloat16
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.precision import LEAST_DB, choose

STYLE = "starry-night"
needs_bfloat16 = pytest.mark.skipif(
    not bfloat16.is_supported(), reason="OpenVINO or a processor with bfloat16 is missing"
)


def frame(seed: int, height: int = 72, width: int = 128) -> np.ndarray:
    patches = np.random.default_rng(seed).integers(
        0, 256, (1, 3, height // 8, width // 8), np.uint8
    )
    return patches.repeat(8, axis=2).repeat(8, axis=3)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


@needs_bfloat16
def test_bfloat16_is_chosen_on_a_processor_that_has_it() -> None:
    assert choose("auto", "auto", Gallery(), STYLE) == ("cpu", "bf16", ())


def test_a_precision_or_engine_requested_by_name_is_never_replaced() -> None:
    assert choose("cpu", "fp32", Gallery(), STYLE) == ("cpu", "fp32", ())
    with pytest.raises(ConfigurationError, match="PRECISION=bf16 needs ENGINE=cpu"):
        choose("cuda", "bf16", Gallery(), STYLE)
    with pytest.raises(ConfigurationError) as refusal:
        choose("cuda", "auto", Gallery(), STYLE)
    assert all("ENGINE=cuda" in problem for problem in refusal.value.problems)


def test_without_bfloat16_networks_run_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "find_spec", lambda _: None)
    assert choose("cpu", "auto", Gallery(), STYLE) == ("cpu", "fp32", ())
    with pytest.raises(ConfigurationError, match="openvino"):
        choose("cpu", "bf16", Gallery(), STYLE)


def test_a_gpu_that_does_not_start_is_passed_over_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_gpu_provider", lambda: True)
    device, _, passed_over = choose("auto", "fp32", Gallery(), STYLE)
    assert device == "cpu"
    (sentence,) = passed_over
    assert "ENGINE=cuda" in sentence


@pytest.mark.parametrize(
    ("named", "change", "verdict"),
    [
        ("fp32", 3, None),
        ("fp32", 4, "differs by 4 levels"),
        ("fp16", 2, None),
        ("fp16", 8, "only 30.1 dB, and"),
    ],
)
def test_a_gpu_has_to_paint_what_the_processor_paints(
    named: precision.ChosenPrecision, change: int, verdict: str | None
) -> None:
    exact = np.full((1, 3, 8, 8), 100, np.uint8)
    told = precision._difference("cuda", named, exact, exact + np.uint8(change))
    assert told is None if verdict is None else re.search(verdict, told or "")


@needs_bfloat16
@pytest.mark.parametrize("style", [*Gallery().styles, "starry-night:0.5,udnie:0.5"])
def test_every_style_looks_in_bfloat16_as_in_fp32(style: str) -> None:
    exact, fast = OnnxEngine(Gallery(), "cpu"), OnnxEngine(Gallery(), "cpu", precision="bf16")
    for height, width in ((72, 128), (120, 88)):
        picture = frame(1, height, width)
        assert decibels(exact.paint(style, picture), fast.paint(style, picture)) >= LEAST_DB


@needs_bfloat16
def test_the_canvas_is_where_each_frame_is_whatever_was_painted_before() -> None:
    exact, fast = OnnxEngine(Gallery(), "cpu"), OnnxEngine(Gallery(), "cpu", precision="bf16")
    places = np.array([[0, 0], [400, 8], [-3333, 777], [9, 9], [5, -1], [0, 1]], np.int32)
    frames = frame(1).repeat(len(places), axis=0)
    singly = [fast.paint(STYLE, frames[:1], place) for place in np.split(places, len(places))]
    for place, painted in zip(np.split(places, len(places)), singly, strict=True):
        assert decibels(exact.paint(STYLE, frames[:1], place), painted) >= LEAST_DB
        assert np.array_equal(fast.paint(STYLE, frames[:1], place), painted)
    assert np.array_equal(fast.paint(STYLE, frames, places), np.concatenate(singly))


@needs_bfloat16
def test_the_same_frame_gives_the_same_bytes_whoever_paints_beside() -> None:
    engine = OnnxEngine(Gallery(), "cpu", precision="bf16")
    frames = [frame(seed) for seed in range(12)]
    alone = [engine.paint(STYLE, one) for one in frames]
    start = threading.Barrier(3)

    def paint_all(_: int) -> list[np.ndarray]:
        start.wait(timeout=30)
        return [engine.paint(STYLE, one) for one in frames]

    with ThreadPoolExecutor(3) as lanes:
        for painted in lanes.map(paint_all, range(3)):
            assert all(np.array_equal(a, b) for a, b in zip(alone, painted, strict=True))


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is missing")
def test_importing_openvino_reports_to_nobody(tmp_path: Path) -> None:
    reporter = tmp_path / "openvino_telemetry" / "__init__.py"
    reporter.parent.mkdir()
    reporter.write_text("print('reporting')")
    program = "from stylizer.painting import bfloat16; import openvino; print('imported')"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "imported\n"


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is missing")
def test_what_the_processor_has_is_known_as_openvino_knows_it() -> None:
    import openvino

    says = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert bfloat16.is_supported() == ("BF16" in says)


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is missing")
@pytest.mark.parametrize(
    ("cpuinfo", "asked"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx_vnni avx_ne_convert\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd\n", True),
        (None, True),
    ],
)
def test_openvino_is_asked_only_where_the_processor_may_have_bfloat16(
    tmp_path: Path, cpuinfo: str | None, asked: bool
) -> None:
    told = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        told.write_text(cpuinfo)
    program = (
        "import pathlib, sys; from shared.media import instructions;"
        "from stylizer.painting import bfloat16;"
        "instructions._CPUINFO = pathlib.Path(sys.argv[1]); bfloat16.is_supported();"
        "print('openvino' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, told], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{asked}\n"


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is missing")
def test_a_call_that_fails_in_silence_never_gives_the_picture_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import openvino

    network = Gallery().find_all(STYLE)[0][0].network("fp32")
    paint, nowhere = Bfloat16().painter(STYLE, network), np.zeros((1, 2), np.int32)
    before = paint(frame(1), nowhere)
    kept = before.copy()
    with monkeypatch.context() as without_memory:
        without_memory.setattr(openvino.InferRequest, "infer", lambda self, *_, **__: self.results)
        with pytest.raises(RuntimeError, match="memory"):
            paint(frame(2), nowhere)
    assert not np.array_equal(paint(frame(2), nowhere), before)
    assert np.array_equal(before, kept)
    assert np.array_equal(paint(frame(1), nowhere), before)


@needs_bfloat16
def test_a_file_that_is_not_a_style_network_is_refused_in_the_same_words() -> None:
    with pytest.raises(StyleError, match="network that ONNX Runtime reads"):
        Bfloat16().painter("broken", b"not a network")
