"""Unusual and hostile clips through the whole stack.

The clips are not part of the project: ``STYLESTREAM_TEST_VIDEOS`` names their folder; see
``tests/unit/splitter/media/test_corpus.py``, which takes every one of them through the media path.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from videos import packets, times

FOLDER = Path(os.environ.get("STYLESTREAM_TEST_VIDEOS", "/nonexistent"))
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="STYLESTREAM_TEST_VIDEOS names no folder"),
]

EXACT = [
    "e_vfr.mp4",
    "e_videolate.mp4",
    "e_editlist_trim.mp4",
    "e_multiaudio_subs.mp4",
    "e_hdr10.mp4",
    "e_interlaced.mp4",
    "e_ünï 日本語 🎬 'q'.mp4",
]
MATROSKA = ["e_mjpeg.avi"]
DEGRADED = ["e_corrupt_mid.mp4", "e_trunc.mkv"]
REFUSED = {
    "e_encrypted_cenc.mp4": "ENCRYPTED",
    "e_hls_ssrf.mp4": "NOT_A_VIDEO",
    "e_bomb_h264_16000.mp4": "TOO_LARGE",
    "e_audioonly.mp4": "NO_VIDEO_STREAM",
}


async def test_a_dozen_unusual_clips_at_once_are_painted_or_refused_by_name(pipeline) -> None:
    facts = {clip["file"]: clip for clip in json.loads((FOLDER / "manifest.json").read_text())}
    names = [*EXACT, *MATROSKA, *DEGRADED, *REFUSED]
    jobs = {name: await pipeline.submit(name, (FOLDER / name).read_bytes()) for name in names}
    statuses = {name: await pipeline.ended(job) for name, job in jobs.items()}

    assert {name: statuses[name].error.code for name in REFUSED} == REFUSED
    for name in [*EXACT, *MATROSKA]:
        assert statuses[name].state == "done", (name, statuses[name].error)
    for name in DEGRADED:
        assert statuses[name].state == "degraded", (name, statuses[name].error)
        assert statuses[name].warnings
    for name in [*EXACT, *DEGRADED]:
        result = await pipeline.result(statuses[name])
        assert len(times(result)) == facts[name]["frames"], name
    for name in EXACT:
        result = await pipeline.result(statuses[name])
        assert times(result) == times(FOLDER / name), name
        for track in range(len(facts[name]["audio"])):
            source = packets(FOLDER / name, index=track)
            assert packets(result, index=track) == source, name
    assert all(statuses[name].result.endswith(".mkv") for name in MATROSKA)
    splitter = pipeline.process("splitter").usage()
    assert splitter.peak_rss_bytes < 600 << 20, "a hostile file must not swell the service"
