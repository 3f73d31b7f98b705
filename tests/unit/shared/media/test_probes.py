"""A GPU's codecs are accepted if they do what segments and chunks need, or refused with a cause.

Where there is no GPU, encoders of the processor show what the probe finds out.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from local.defaults import SAMPLE
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, _planar, read_chunk
from shared.media.encodings import (
    MEZZANINE,
    SEGMENT,
    Encoding,
    nvenc_segment_encoding,
    segment_encoding,
)
from shared.media.nvidia import NVDEC_SIZES, NVENC_SIZES
from shared.media.probes import find_encoder_fault, find_nvdec_fault, find_nvenc_fault
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine


def x264(parameters: str, crf: int = 20) -> Encoding:
    options = {"preset": "superfast", "crf": str(crf), "x264-params": parameters}
    return Encoding("libx264", options)


@pytest.mark.parametrize("encoding", [SEGMENT, MEZZANINE])
def test_an_encoder_whose_segments_can_be_joined_has_no_fault(encoding: Encoding) -> None:
    assert find_encoder_fault(encoding) is None


@pytest.mark.parametrize(
    ("encoding", "fault"),
    [
        (x264("keyint=2:bframes=0"), "not write one group of pictures"),
        (x264("keyint=infinite:bframes=3:b-adapt=0"), "not preserve frames and their timestamps"),
        (x264("keyint=infinite:bframes=0", crf=51), "reproduces test pictures to only \\d+ dB"),
        (Encoding("libx264", {"preset": "unknown"}), "does not encode a test picture"),
        (Encoding("no_such_encoder", {}), "does not encode a test picture"),
    ],
)
def test_an_encoder_that_would_spoil_a_result_is_refused(encoding: Encoding, fault: str) -> None:
    assert re.search(fault, find_encoder_fault(encoding) or "")


def test_a_missing_gpu_is_reported_in_one_sentence_with_the_remedy() -> None:
    for fault in (find_nvenc_fault(), find_nvdec_fault()):
        # On a machine with a GPU there is no fault to tell
        assert fault is None or ("needs NVIDIA's driver" in fault and "\n" not in fault)


def test_an_encoders_fault_is_told_in_the_words_of_its_log() -> None:
    level = av.logging.get_level()
    told = find_encoder_fault(Encoding("libx264", {"preset": "unknown"}))
    assert "(invalid argument: Error setting preset/tune unknown/" in (told or "")
    assert av.logging.get_level() == level


def test_interleaved_chroma_comes_apart_exactly() -> None:
    # A picture as a GPU's decoder gives it, of 184 rows of luma
    given = np.random.default_rng(0).integers(0, 256, (184 * 3 // 2, 320), np.uint8)
    frame = av.VideoFrame.from_ndarray(given, "nv12")
    frame.pts = 42
    planar = _planar(frame, VideoReformatter())
    assert (planar.format.name, planar.pts) == ("yuv420p", 42)
    pixels, chroma = planar.to_ndarray(), given[184:].reshape(-1, 2)
    assert np.array_equal(pixels[:184], given[:184])
    assert np.array_equal(pixels[184:].ravel(), chroma.T.ravel())


def test_the_quality_asked_for_reaches_nvenc() -> None:
    quantisers = []
    for quality in (0, 60, None, 100):
        request = StyleRequest(style="a", quality=quality)
        encoding = nvenc_segment_encoding(request, 1920, 1080)
        assert encoding is not None
        assert encoding.options["bf"] == "0"
        quantisers.append(encoding.options["init_qpP"])
    assert quantisers == ["45", "23", "23", "7"]


def test_nvencs_quantiser_comes_as_near_to_painted_pictures_as_x264s_factor(psnr: Any) -> None:
    """A quantiser means the same to all encoders of H.264: here x264 stands for NVENC."""
    engine = OnnxEngine(Gallery(), "cpu")
    style = StyleRequest(style="starry-night")
    with av.open(SAMPLE) as clip:
        frames = [frame.reformat(320, 180, "yuv420p") for frame in clip.decode(video=0)][:6]
    painted = [paint_picture(frame, engine.paint, style) for frame in frames]

    def nearness(encoding: Encoding) -> float:
        writer = ChunkWriter(encoding, width=320, height=180, time_base=Fraction(1, 25))
        for number, frame in enumerate(painted):
            frame.pts = number
            writer.write(frame)
        shown = read_chunk(writer.close(len(painted)))
        return float(np.mean([*map(psnr, painted, shown)]))

    for quality in (0, 30, 60, 80, 100):
        request = StyleRequest(style="a", quality=quality)
        nvenc = nvenc_segment_encoding(request, 320, 180)
        assert nvenc is not None
        fixed = Encoding(
            "libx264",
            {
                "preset": "superfast",
                "qp": nvenc.options["init_qpP"],
                "x264-params": "keyint=infinite:scenecut=0:bframes=0:ipratio=1",
            },
        )
        assert nearness(fixed) == pytest.approx(nearness(segment_encoding(request)), abs=1.5)


def test_codecs_that_depend_on_the_gpu_are_left_to_the_processor() -> None:
    for codec in ("hevc", "av1"):
        request = StyleRequest(style="a", codec=codec)
        assert nvenc_segment_encoding(request, 1920, 1080) is None
    request = StyleRequest(style="a")
    for size in ((158, 64), (160, 62), (4098, 64), (160, 4098)):
        assert nvenc_segment_encoding(request, *size) is None
        assert not NVENC_SIZES.takes(*size)
    assert nvenc_segment_encoding(request, 160, 64) is not None
    assert [NVDEC_SIZES.takes(*size) for size in ((64, 64), (62, 64), (4096, 4098))] == [
        True,
        False,
        False,
    ]
