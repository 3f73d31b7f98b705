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
    monkeypatch.setattr(sessions, "has_driver", lambda: True)
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


def test_a_gpu_that_does_not_start_is_reported_with_what_to_do_and_no_internals() -> None:
    fell_back = (
        "[ONNXRuntimeError] : 2 : Conflicting session configuration: explicitly added the CPU EP"
    )
    absent = "/onnxruntime_src/provider_bridge.cc:2465 CUDA Provider not available, can't get it\n"
    for cause in (fell_back, absent, ""):
        said = sessions.Sessions("cuda", None)._not_started(cause)
        assert said.startswith(
            "ENGINE=cuda: CPUExecutionProvider did not start; check with nvidia-smi"
        )
    assert "(no such\ndevice)".replace("\n", " ") in sessions.Sessions("cuda", None)._not_started(
        "no such\ndevice"
    )


def test_a_machine_without_nvidias_driver_is_reported_once_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sessions, "has_driver", lambda: False)
    with pytest.raises(ConfigurationError) as refused:
        choose("cuda", "auto", Gallery(), STYLE)
    (said,) = refused.value.problems
    assert said.startswith("ENGINE=cuda: NVIDIA's driver was not found;")
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
