"""Which instructions x264 uses on which processors, and that its output does not depend on them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from shared.media.chunks import ChunkWriter
from shared.media.encodings import MEZZANINE, SEGMENT, Encoding
from shared.media.instructions import read_cpuinfo, x264_instructions

HASWELL = "fpu sse4_2 avx fma bmi1 avx2 bmi2"
CASCADE_LAKE = f"{HASWELL} avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"
ICE_LAKE = f"{CASCADE_LAKE} avx512vbmi avx512_vbmi2"


def cpuinfo(flags: str) -> str:
    processor = f"model name\t: one\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n\n"
    return processor * 2


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        (cpuinfo(CASCADE_LAKE), "AVX2"),
        (cpuinfo(ICE_LAKE), "auto"),
        (cpuinfo(HASWELL), "auto"),
        ("processor\t: 0\nFeatures\t: fp asimd\n", "auto"),
        ("", "auto"),
    ],
    ids=["cascade lake", "ice lake", "haswell", "arm", "not linux"],
)
def test_x264_leaves_out_only_what_slows_its_processor_down(text, instructions):
    assert x264_instructions(text) == instructions


def encoded(encoding: Encoding) -> bytes:
    dice = np.random.default_rng(1)
    writer = ChunkWriter(encoding, width=96, height=64, time_base=Fraction(1, 25))
    for number in range(4):
        planes = np.cumsum(dice.integers(0, 5, (96, 96)), axis=1).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        writer.write(frame)
    return writer.close(4)


@pytest.mark.parametrize("encoding", [MEZZANINE, SEGMENT], ids=["mezzanine", "segment"])
@pytest.mark.parametrize("instructions", ["auto", "AVX2", "0"])
def test_the_bytes_do_not_depend_on_the_instructions(encoding, instructions):
    if instructions == "AVX2" and "avx2" not in read_cpuinfo():
        pytest.skip("needs a processor with AVX2")
    options = dict(encoding.options)
    parameters = options["x264-params"].rpartition(":asm=")[0]
    options["x264-params"] = f"{parameters}:asm={instructions}"
    assert encoded(replace(encoding, options=options)) == encoded(encoding)
