"""Memory is bounded by what is painted at once, not by the number of styles ever requested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
# In a process of its own: what other tests have painted would count, too.
PAINT = """
import json, resource
import numpy as np
from shared.styles.gallery import open_gallery
from stylizer.painting.engine import OnnxEngine

gallery = open_gallery(None, "starry-night")
engine = OnnxEngine(gallery, "cpu")
frames = np.zeros((1, 3, 360, 640), np.uint8)
peaks = []
for style in gallery.styles:
    engine.paint(style, frames)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
print(json.dumps(peaks))
"""
# One session's pool for such a picture has some 30 MiB.
ALLOWED_MIB = 5


def test_each_further_style_costs_its_weights_and_no_pool_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PAINT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    peaks = json.loads(done.stdout.splitlines()[-1])
    assert len(peaks) > 3
    assert peaks[-1] - peaks[0] <= ALLOWED_MIB * (len(peaks) - 1), peaks
