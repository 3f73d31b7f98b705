"""A chunk's whole path on a GPU, with the CPU provider in place of CUDA's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.contracts.errors import ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import read_chunk
from shared.styles.gallery import Gallery
from stylizer.attempts.segments import paint
from stylizer.painting import sessions
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.layouts import I420
from stylizer.painting.precision import choose

STYLE = "starry-night"


@pytest.fixture(autouse=True)
def _processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sessions._PROVIDERS, "cuda", ["CPUExecutionProvider"])
    monkeypatch.setattr(sessions, "_GPU", "cpu")
    monkeypatch.setattr(sessions, "driver_cuda", lambda: (13, 0))
    monkeypatch.setattr(sessions, "_share_gpu_memory", lambda _limit: sessions.shared_arena())


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_gpu_is_used_if_it_paints_correctly(precision: Any) -> None:
    assert choose("cuda", precision, Gallery(), STYLE)[:2] == ("cuda", precision)


@pytest.mark.parametrize("style", [STYLE, f"{STYLE}@0s,great-wave@0.3s"])
def test_segments_look_like_the_processors(split_video: Any, make: Any, style: str) -> None:
    found = split_video(make.Video(frames=13, size=(102, 70)).make())
    # At the best quality, where segments show what was painted and little of their encoder.
    request = StyleRequest(style=style, fade=0.1 if "@" in style else None, quality=100)
    event = ChunkReady.of("0" * 24, found.source, request, found.chunks[0].chunk)
    gpu, processor = OnnxEngine(Gallery(), "cuda"), OnnxEngine(Gallery(), "cpu")
    assert isinstance(gpu.layout, I420)
    mezzanine, frames = found.chunks[0].data, event.chunk.frames
    segments = [
        paint(engine, event, mezzanine, batch=batch) for engine, batch in ((gpu, 3), (processor, 1))
    ]
    pictures = [
        np.stack([frame.to_ndarray() for frame in read_chunk(segment, frames=frames)]).astype(int)
        for segment in segments
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.6


_PLACE = "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154"


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("This session contains graph nodes that are assigned to the default CPU EP, but", ""),
        (f"{_PLACE} GetProviderInfo_CUDA() CUDA Provider not available, can't get it\n", ""),
        (
            f"{_PLACE} void onnxruntime::CudaCall(ERRTYPE, const char*) [with THRW = true] "
            "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; line=4",
            " (CUDA failure 100: no CUDA-capable device is detected)",
        ),
        (
            f"{_PLACE} void onnxruntime::Register(Options&, const Map&) No such\ndevice.\n",
            " (No such device)",
        ),
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned. Status "
            f"Message: {_PLACE} void* BFCArena::AllocateRawInternal(size_t, bool, Stream*) "
            "Available memory of 10 is smaller than requested bytes of 20\n",
            " (Non-zero status code returned. Status Message: Available memory of 10 is smaller "
            "than requested bytes of 20)",
        ),
        ("[ONNXRuntimeError] : 1 : FAIL : " + "x" * 400, f" ({'x' * 300} ...)"),
    ],
)
def test_a_gpu_that_does_not_start_is_reported_with_its_cause_and_no_internals(
    raised: str, said: str
) -> None:
    told = sessions.Sessions("cuda", None)._not_started(sessions.complaint(RuntimeError(raised)))
    assert told == (
        f"ENGINE=cuda: CPUExecutionProvider did not start{said}; check with nvidia-smi that the "
        "driver sees the GPU, and that CUDA's libraries are there, or set ENGINE=cpu"
    )


def test_missing_libraries_of_tensorrt_are_named() -> None:
    raised = f"{_PLACE} void Register(Options&) Please install TensorRT libraries as mentioned in"
    told = sessions.Sessions("cuda", None)._not_started(sessions.complaint(RuntimeError(raised)))
    assert told.startswith("ENGINE=cuda: TensorRT's libraries were not found; install them")


def test_a_session_that_cannot_be_opened_prints_nothing_and_hides_no_cause(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # By itself, ONNX Runtime would go on with a processor, and say so on standard output
    refusing = sessions.Sessions("cuda", None)
    monkeypatch.setattr(refusing, "_providers", lambda _search: ["CPUExecutionProvider", 7])
    with pytest.raises(ConfigurationError, match="values must be either strings or"):
        refusing.start(STYLE, Gallery().styles[STYLE].network("fp32"))
    assert not capfd.readouterr().out


@pytest.mark.parametrize(
    ("supported", "problem"),
    [
        (None, "ENGINE=cuda: NVIDIA's driver was not found;"),
        ((12, 8), "ENGINE=cuda: NVIDIA's driver supports CUDA 12.8, and ONNX Runtime was built"),
    ],
)
def test_a_driver_that_is_missing_or_too_old_is_reported_once_with_the_remedy(
    supported: tuple[int, int] | None,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sessions, "driver_cuda", lambda: supported)
    monkeypatch.setattr(sessions.ort, "cuda_version", "13.0", raising=False)
    with pytest.raises(ConfigurationError) as refused:
        choose("cuda", "auto", Gallery(), STYLE)
    (said,) = refused.value.problems
    assert said.startswith(problem)
    assert "onnxruntime" not in capfd.readouterr().err


def test_pictures_are_painted_in_the_same_way(split_video: Any, make: Any) -> None:
    found = split_video(make.Video(frames=1, size=(102, 70)).make())
    (source,) = read_chunk(found.chunks[0].data)
    gpu, processor = OnnxEngine(Gallery(), "cuda"), OnnxEngine(Gallery(), "cpu")
    one, other = (
        paint_picture(source, engine.paint, StyleRequest(style=STYLE), engine.layout).to_ndarray()
        for engine in (gpu, processor)
    )
    assert np.abs(np.subtract(one, other, dtype=int)).max() <= 3
