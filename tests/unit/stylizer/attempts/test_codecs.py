"""What decodes chunks: a GPU's decoder where it works and spares something, and never the judge."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer

from shared.contracts.errors import ChunkError, ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media import chunks
from shared.media.probes import find_nvdec_fault
from stylizer.attempts import codecs
from stylizer.attempts.codecs import ENOUGH_CORES, choose_decoder, decoder_of
from stylizer.attempts.isolation import AttemptFailed
from stylizer.attempts.segments import paint, settle
from stylizer.painting.engine import Canvas, Frames
from stylizer.settings import PaintingSettings

without_nvdec = pytest.mark.skipif(find_nvdec_fault() is None, reason="NVDEC works here")


@without_nvdec
def test_a_decoder_that_is_asked_for_by_name_is_never_replaced() -> None:
    with pytest.raises(ConfigurationError, match="CHUNK_DECODER=cuda: NVDEC does not decode"):
        settle(PaintingSettings(engine="cpu", precision="fp32", chunk_decoder="cuda"))


@without_nvdec
def test_what_is_not_asked_for_is_the_processors_where_the_gpu_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codecs, "usable_cores", lambda: ENOUGH_CORES - 1)
    assert choose_decoder(PaintingSettings(engine="cuda")) == "cpu"


@pytest.mark.parametrize(
    ("engine", "cores", "decoder"),
    [("cuda", 7, "cuda"), ("cuda", 8, "cpu"), ("cpu", 7, "cpu"), ("tensorrt", 4, "cuda")],
)
def test_a_gpu_decodes_for_a_stylizer_on_it_that_has_few_cores(
    engine: Any, cores: int, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "usable_cores", lambda: cores)
    monkeypatch.setattr(codecs, "find_nvdec_fault", lambda: None)
    assert choose_decoder(PaintingSettings(engine=engine)) == decoder


def test_sizes_that_nvdec_does_not_take_are_the_processors(split_video: Any, make: Any) -> None:
    found = split_video(make.Video(frames=2, size=(96, 64)).make())
    event = referred(found)
    settings = PaintingSettings(engine="cuda", chunk_decoder="cuda")
    assert decoder_of(event, settings) == "cuda"
    assert decoder_of(event.model_copy(update={"height": 62}), settings) == "cpu"
    assert decoder_of(event, PaintingSettings(engine="cuda", chunk_decoder="cpu")) == "cpu"


class Painter:
    """An engine that paints negatives."""

    def paint(self, _style: str, frames: Frames, _canvas: Canvas | None = None, **_: Any) -> Frames:
        return np.array(255 - frames)


@pytest.fixture
def software(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processor's decoder stand in the place of a GPU's."""

    def opened(data: bytes, _decoder: str) -> InputContainer:
        return av.open(io.BytesIO(data), "r", format="mp4")

    monkeypatch.setattr(chunks, "_opened", opened)


@pytest.mark.usefixtures("software")
def test_what_a_gpus_decoder_finds_wrong_is_for_the_processors_to_judge(
    split_video: Any, make: Any
) -> None:
    found = split_video(make.Video(frames=4, size=(96, 64)).make())
    event, whole = referred(found), found.chunks[0].data
    engine: Any = Painter()
    assert paint(engine, event, whole, batch=1, decoder="cuda") == paint(
        engine, event, whole, batch=1
    )
    promised = event.chunk.model_copy(update={"frames": 5})
    wrong = event.model_copy(update={"chunk": promised})
    with pytest.raises(AttemptFailed, match="decoded on the GPU: .* 4 frames, not the 5"):
        paint(engine, wrong, whole, batch=1, decoder="cuda")
    with pytest.raises(ChunkError, match="4 frames, not the 5"):
        paint(engine, wrong, whole, batch=1)


def referred(found: Any) -> ChunkReady:
    style = StyleRequest(style="udnie")
    return ChunkReady.of("0" * 24, found.source, style, found.chunks[0].chunk)
