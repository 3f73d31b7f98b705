"""A GPU's codecs are used where they work and help; the processor can replace them."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import numpy as np
import pytest

from shared.contracts.errors import ChunkError, ConfigurationError
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media import chunks
from shared.media.chunks import ChunkWriter
from shared.media.encodings import SEGMENT, Encoding
from shared.media.nvidia import NVENC_TURNS
from shared.media.probes import find_nvdec_fault, find_nvenc_fault, parameter_sets
from splitter.media.split import SplitOptions
from stylizer.attempts import codecs
from stylizer.attempts.codecs import (
    ENOUGH_CORES,
    Codecs,
    choose_decoder,
    choose_encoder,
    codecs_of,
)
from stylizer.attempts.isolation import AttemptFailed
from stylizer.attempts.segments import paint, pass_through, settle
from stylizer.painting.engine import Canvas, Frames
from stylizer.painting.layouts import RGB
from stylizer.settings import PaintingSettings

ON_GPU = PaintingSettings(engine="cuda", chunk_decoder="cuda", segment_encoder="nvenc")
without_nvenc = pytest.mark.skipif(find_nvenc_fault() is None, reason="NVENC works here")
without_nvdec = pytest.mark.skipif(find_nvdec_fault() is None, reason="NVDEC works here")


@without_nvdec
def test_a_decoder_that_is_asked_for_by_name_is_never_replaced() -> None:
    with pytest.raises(ConfigurationError, match="CHUNK_DECODER=cuda: NVDEC does not decode"):
        settle(PaintingSettings(engine="cpu", precision="fp32", chunk_decoder="cuda"))


@without_nvdec
def test_by_default_the_processor_decodes_if_the_gpu_has_no_decoder(
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


@without_nvenc
def test_an_encoder_that_is_asked_for_by_name_is_never_replaced() -> None:
    with pytest.raises(ConfigurationError, match="SEGMENT_ENCODER=nvenc: h264_nvenc does not"):
        settle(PaintingSettings(engine="cpu", precision="fp32", segment_encoder="nvenc"))


@without_nvenc
def test_by_default_x264_encodes_if_the_gpu_has_no_encoder() -> None:
    assert choose_encoder(PaintingSettings(engine="cuda", segment_encoder="auto")) == "x264"
    assert choose_encoder(PaintingSettings(engine="cuda")) == "x264"


def test_nvenc_is_looked_for_only_where_networks_run_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codecs, "find_nvenc_fault", lambda: None)
    assert choose_encoder(PaintingSettings(engine="cuda", segment_encoder="auto")) == "nvenc"
    assert choose_encoder(PaintingSettings(engine="cpu", segment_encoder="auto")) == "x264"


@pytest.mark.parametrize(
    ("size", "style", "chosen"),
    [
        ((192, 96), {}, Codecs("nvenc", "cuda")),
        ((96, 64), {}, Codecs("x264", "cuda")),
        ((192, 62), {}, Codecs("x264", "cpu")),
        ((192, 96), {"codec": "hevc"}, Codecs("x264", "cuda")),
    ],
)
def test_the_processor_handles_what_gpus_do_not_support(
    split_video: Any, make: Any, size: tuple[int, int], style: dict[str, str], chosen: Codecs
) -> None:
    found = split_video(make.Video(frames=2, size=(96, 64)).make())
    event = referred(found, size, **style)
    assert codecs_of(event, ON_GPU) == chosen
    assert codecs_of(event, PaintingSettings(engine="cuda", chunk_decoder="cpu")) == Codecs()


def test_further_attempts_rely_on_gpus_less_and_less(split_video: Any, make: Any) -> None:
    found = split_video(make.Video(frames=2, size=(96, 64)).make())
    event = referred(found, (192, 96))
    assert [codecs_of(event, ON_GPU, attempt) for attempt in (1, 2, 3, 4)] == [
        Codecs("nvenc", "cuda"),
        Codecs("nvenc", "cpu"),
        Codecs("x264", "cpu"),
        Codecs("x264", "cpu"),
    ]
    again = event.model_copy(update={"on_processor": True})
    assert codecs_of(again, ON_GPU) == Codecs("x264", "cuda")


def test_a_mark_tells_segments_apart_that_cannot_be_joined(
    split_video: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = split_video(make.Video(frames=12, size=(192, 96)).make(), SplitOptions(8, 8))
    style = StyleRequest(style="udnie")
    events = [ChunkReady.of("0" * 24, found.source, style, each.chunk) for each in found.chunks]
    engine: Any = Painter()
    marks = []
    for preset in ("superfast", "medium"):
        other = Encoding("libx264", {"preset": preset, "x264-params": "bframes=0:keyint=infinite"})
        monkeypatch.setattr(codecs, "nvenc_segment_encoding", lambda *_, other=other: other)
        for event, chunk in zip(events, found.chunks, strict=True):
            segment = paint(engine, event, chunk.data, batch=1, codecs=Codecs("nvenc"))
            marks.append((Codecs("nvenc").mark(segment), parameter_sets(segment)))
            assert Codecs().mark(segment) == ""
    assert marks[0] == marks[1]
    assert marks[2] == marks[3]
    assert marks[0][0] != marks[2][0]


def test_nvenc_gets_only_as_many_encoders_at_once_as_any_driver_opens(
    split_video: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = split_video(make.Video(frames=2, size=(192, 96)).make())
    event, chunk = referred(found), found.chunks[0].data
    monkeypatch.setattr(codecs, "nvenc_segment_encoding", lambda *_: SEGMENT)
    free: list[int] = []

    class Counting(Painter):
        def paint(self, *given: Any, **options: Any) -> Frames:
            free.append(free_turns())
            return super().paint(*given, **options)

    engine: Any = Counting()
    for encoder, held in (("nvenc", 1), ("x264", 0)):
        free.clear()
        paint(engine, event, chunk, batch=2, codecs=Codecs(encoder))
        assert set(free) == {ALL_TURNS - held}
    pass_through(event, chunk, Codecs("nvenc"))
    with pytest.raises(ChunkError):
        pass_through(event, chunk[:100], Codecs("nvenc"))
    assert free_turns() == ALL_TURNS


@pytest.mark.parametrize("decoder", ["cpu", "cuda"])
def test_an_attempt_that_failed_keeps_no_encoder_open(
    split_video: Any, make: Any, software: None, decoder: Any
) -> None:
    found = split_video(make.Video(frames=4, size=(96, 64)).make())
    event = referred(found)
    promised = dataclasses.replace(event.chunk, frames=5)
    wrong = event.model_copy(update={"chunk": promised})
    engine: Any = Painter()
    with pytest.raises((AttemptFailed, ChunkError)) as failed:
        paint(engine, wrong, found.chunks[0].data, batch=1, codecs=Codecs(decoder=decoder))
    gc.collect()
    # The failure is kept while the chunk is tried again
    assert failed.value.__traceback__ is not None
    assert not [each for each in gc.get_objects() if type(each) is ChunkWriter]


def free_turns() -> int:
    taken = 0
    while NVENC_TURNS.acquire(blocking=False):
        taken += 1
    for _ in range(taken):
        NVENC_TURNS.release()
    return taken


ALL_TURNS = free_turns()


class Painter:
    """An engine that paints negatives."""

    layout = RGB

    def paint(self, _style: str, frames: Frames, _canvas: Canvas | None = None, **_: Any) -> Frames:
        return np.array(255 - frames)


@pytest.fixture
def software(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processor's decoder stand in the place of a GPU's."""
    monkeypatch.setattr(chunks, "cuda_decoder", lambda: None)


@pytest.mark.usefixtures("software")
def test_errors_of_a_gpus_decoder_are_judged_by_the_processors(split_video: Any, make: Any) -> None:
    found = split_video(make.Video(frames=4, size=(96, 64)).make())
    event, whole = referred(found), found.chunks[0].data
    engine: Any = Painter()
    assert paint(engine, event, whole, batch=1, codecs=Codecs(decoder="cuda")) == paint(
        engine, event, whole, batch=1
    )
    promised = dataclasses.replace(event.chunk, frames=5)
    wrong = event.model_copy(update={"chunk": promised})
    with pytest.raises(AttemptFailed, match="decoded on the GPU: .* 4 frames, not the 5"):
        paint(engine, wrong, whole, batch=1, codecs=Codecs(decoder="cuda"))
    with pytest.raises(ChunkError, match="4 frames, not the 5"):
        paint(engine, wrong, whole, batch=1)


def referred(found: Any, size: tuple[int, int] | None = None, **style: Any) -> ChunkReady:
    request = StyleRequest(style="udnie", **style)
    event = ChunkReady.of("0" * 24, found.source, request, found.chunks[0].chunk)
    if size is None:
        return event
    return event.model_copy(update={"width": size[0], "height": size[1]})
