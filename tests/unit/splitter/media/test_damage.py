"""Damaged files, a thousand of them: each ends in a result or a named error, and soon.

``STYLESTREAM_MUTATIONS`` sets how many there are for each kind of file (default 250).
"""

from __future__ import annotations

import os
import random
import resource
import time
from pathlib import Path

import av
import pytest
from videos import Sound, Video

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.errors import SourceRefused
from splitter.media.limits import Limits
from splitter.media.split import SplitOptions

MUTATIONS = int(os.environ.get("STYLESTREAM_MUTATIONS", "250"))
DEADLINE_S = 10.0
OPTIONS = SplitOptions(chunk_frames=8, limits=Limits(max_frames=2000, max_pixels=1 << 20))
# One in so many results is joined and verified, too.
JOINED = 10

SOURCES = {
    "mp4": Video(frames=20, sounds=[Sound(duration_s=0.5)]),
    "matroska": Video(frames=20, format="matroska", sounds=[Sound("libopus", duration_s=0.5)]),
    "mpegts": Video(frames=20, format="mpegts", sounds=[Sound("mp2", duration_s=0.5)]),
    "avi": Video(
        frames=20,
        format="avi",
        codec="mpeg4",
        options={},
        sounds=[Sound("pcm_s16le", duration_s=0.5)],
    ),
}


def damage(data: bytes, dice: random.Random) -> bytes:
    """Cut a file off, cut a part out, double a part, or change some of its bytes."""
    kind = dice.choice(["truncate", "cut", "repeat", "flip", "flip", "flip"])
    start = dice.randrange(len(data))
    end = min(len(data), start + dice.randrange(1, 2000))
    if kind == "truncate":
        return data[:start]
    if kind == "cut":
        return data[:start] + data[end:]
    if kind == "repeat":
        return data[:end] + data[start:]
    changed = bytearray(data)
    for _ in range(dice.choice([1, 3, 30])):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


@pytest.fixture
def _quiet():
    level = av.logging.get_level()
    av.logging.set_level(None)
    yield
    av.logging.set_level(level)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def peak_memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sides(folder: Path) -> set[Path]:
    return set(folder.glob("side*"))


@pytest.mark.usefixtures("_quiet")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", list(SOURCES))
def test_any_damage_ends_in_a_result_or_a_named_error(kind: str, split_video, tmp_path) -> None:
    data = SOURCES[kind].make()
    files, memory = open_files(), peak_memory_mib()
    kept: set[Path] = set()
    outcomes: dict[str, int] = {}
    for seed in range(MUTATIONS):
        mutated = damage(data, random.Random(f"{kind} {seed}"))
        began = time.monotonic()
        try:
            result = split_video(mutated, OPTIONS)
        except SourceRefused as refusal:
            outcome = refusal.code
            assert not sides(tmp_path) - kept, f"seed {seed} left a file behind"
        else:
            outcome = "degraded" if result.end.damaged else "whole"
            if seed % JOINED == 0:
                out = tmp_path / f"out.{result.source.container}"
                mux(result.manifest(), result.segments(), result.side, out)
                verify(result.manifest(), result.side, out)
        assert time.monotonic() - began < DEADLINE_S, f"seed {seed} took too long"
        kept |= sides(tmp_path)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert open_files() <= files, "files are left open"
    assert peak_memory_mib() - memory < 150, "memory grows from file to file"
    assert sum(outcomes.values()) == MUTATIONS
    # The damage is neither so light that nothing is found nor so heavy that nothing gets through
    assert outcomes.get("degraded", 0) > MUTATIONS // 20, outcomes
    assert len(outcomes) >= 3, outcomes
