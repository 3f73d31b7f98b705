"""Memory is bounded by what is painted at once, not by what was ever painted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
# In a process of its own: what other tests have painted would count, too.
SETUP = """
import json
from pathlib import Path
import numpy as np
from shared.styles.gallery import open_gallery
from stylizer.painting.engine import OnnxEngine

def resident(field):
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(field + ":")[2].split()[0]) >> 10

gallery = open_gallery(None, "starry-night")
engine = OnnxEngine(gallery, "cpu")
frames = lambda width, height: np.zeros((1, 3, height, width), np.uint8)
seen = []
"""
STYLES = """
for style in gallery.styles:
    engine.paint(style, frames(640, 360))
    seen.append(resident("VmHWM"))
"""
SIZES = """
for height in range(160, 481, 32):
    engine.paint("starry-night", frames(16 * height // 9 // 4 * 4, height))
    seen.append(resident("VmRSS"))
"""
LARGEST = SIZES.replace("160", "480")
MOVED = """
for grown in (0, 4, 0, 4):
    engine.paint("starry-night", frames(1280 + grown, 720 + grown))
    seen.append(resident("VmRSS"))
"""
TRIM = """
engine.load("starry-night")
engine.paint("starry-night", frames(8, 8))
seen.append(resident("VmRSS"))
engine.paint("starry-night", frames(1280, 720))
seen.append(resident("VmRSS"))
engine.trim()
seen.append(resident("VmRSS"))
"""
# One session's pool for a picture of 640x360 has some 30 MiB.
ALLOWED_MIB = 5
# Canvases and sessions of other sizes, freed pieces between pieces in use, and threads' stacks.
REMAINDER_MIB = 40


def run(script: str) -> list[int]:
    """Return what a script has seen, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", f"{SETUP}{script}\nprint(json.dumps(seen))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    seen: list[int] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_each_further_style_costs_its_weights_and_no_pool_of_its_own() -> None:
    peaks = run(STYLES)
    assert len(peaks) > 3
    assert peaks[-1] - peaks[0] <= ALLOWED_MIB * (len(peaks) - 1), peaks


def test_pictures_of_growing_sizes_hold_no_more_than_the_largest_of_them() -> None:
    growing, alone = run(SIZES), run(LARGEST)
    assert len(growing) > 10
    assert growing[-1] <= alone[-1] + REMAINDER_MIB, growing


def test_frames_that_the_camera_has_moved_share_the_memory_of_those_that_it_has_not() -> None:
    still, *moved = run(MOVED)
    assert max(moved) <= still + REMAINDER_MIB, moved


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_trim is glibc's")
def test_memory_that_is_not_in_use_is_given_back_on_request() -> None:
    idle, painted, trimmed = run(TRIM)
    assert painted - idle > 2 * REMAINDER_MIB
    assert trimmed - idle <= REMAINDER_MIB
