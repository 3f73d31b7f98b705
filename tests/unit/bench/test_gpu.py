"""The check of a GPU, rehearsed on the processor."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_rehearsal_makes_every_step_and_writes_both_forms(tmp_path: Path) -> None:
    ended = subprocess.run(
        [ROOT / "scripts/check-gpu", "--rehearse", "--skip", "stack", "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = json.loads((tmp_path / "check-gpu.json").read_text())
    assert set(results["steps"]) == {"facts", "starts", "faults", "codecs", "path", "engine"}
    assert results["steps"]["starts"][0]["verdict"] == "right"
    assert results["steps"]["faults"][0]["noticed"], results["steps"]["faults"]
    measured = {row["codec"]: row for row in results["steps"]["codecs"]}
    for codec in ("decoding, processor", "encoding, x264"):
        assert measured[codec]["frames_per_second"] > 0
    for codec in ("NVDEC", "NVENC"):
        fault = measured[codec]["verdict"]
        assert fault == "right" or "needs NVIDIA's driver" in fault
    for step, most in (("path", 4), ("engine", 8)):
        assert len(results["steps"][step]) == most
        assert all(row["frames_per_second"] > 0 for row in results["steps"][step])
    assert results["notes"]["stack"] == "skipped: left out by --skip"
    assert (tmp_path / "check-gpu.md").read_text() in ended.stdout


def test_a_box_without_time_says_what_it_left_out(tmp_path: Path) -> None:
    command = [ROOT / "scripts/check-gpu", "--rehearse", "--box", "0", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    notes = json.loads((tmp_path / "check-gpu.json").read_text())["notes"]
    assert len(notes) == 7
    assert set(notes.values()) == {"skipped: the 0 s are over"}
