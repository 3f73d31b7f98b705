"""The sandbox does not slow splitting down."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from splitter.decoder.confinement import available
from splitter.protection import LAYERS

ROOT = Path(__file__).resolve().parents[4]
PAIRS = 9
SPLIT = """
import io, pathlib, sys, tempfile, time
from splitter.decoder import sandbox  # imports all that a confined decoder needs
from splitter.decoder.confinement import confine
from splitter.media.limits import Limits
from splitter.media.split import SplitOptions, split
from splitter.protection import LAYERS
how, video, folder = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
data, tempfile.tempdir = io.BytesIO(video.read_bytes()), str(folder)
if how == "confined":
    confine(Limits(), folder, frozenset(LAYERS))
began = time.process_time()
for _ in split(data, SplitOptions(), folder / "side"):
    pass
print(time.process_time() - began)
"""


@pytest.mark.slow
@pytest.mark.skipif(available() != frozenset(LAYERS), reason="this machine lacks the sandbox")
@pytest.mark.timeout(1800)
def test_videos_are_split_as_fast_in_the_sandbox_as_outside_it(make, tmp_path):
    video = tmp_path / "video.mp4"
    video.write_bytes(make.Video(frames=120, size=(640, 360), sounds=[make.Sound()]).make())
    # In turns, and processor time, so that what else the machine does weighs on both alike.
    spent = {"free": [], "confined": []}
    for _ in range(PAIRS):
        for how, seconds in spent.items():
            folder = tmp_path / how
            folder.mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, "-c", SPLIT, how, video, folder],
                # A process with threads cannot be confined.
                env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode()
            seconds.append(float(done.stdout))
    free, confined = (statistics.median(seconds) for seconds in spent.values())
    print(f"free {free:.3f} s, confined {confined:.3f} s, speed {free / confined:.3f}")
    assert free / confined >= 0.95
