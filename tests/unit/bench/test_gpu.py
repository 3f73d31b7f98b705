"""The check of a GPU, rehearsed on the processor."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import create_autospec

import pynvml
import pytest

from bench.gpu import machine
from bench.gpu.__main__ import run_step
from bench.gpu.report import Report

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


_ROW = (
    "import os, sys, tempfile, time; tempfile.mkdtemp();"
    'print(\'{"row": {"figure": 7}}\', flush=True);'
)


@pytest.mark.parametrize(
    ("ending", "limit_s", "note"),
    [
        ("os.abort()", 60, "failed: its process ended with SIGABRT"),
        ("sys.exit(3)", 60, "failed: its process ended with exit code 3"),
        ("time.sleep(600)", -4, "failed: it did not end within -4 s, and was killed"),
        ('print(\'{"skip": "no card"}\')', 60, "skipped: no card"),
    ],
)
def test_a_step_that_crashes_or_hangs_costs_itself_alone_and_keeps_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, limit_s: float, note: str
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    report = Report(tmp_path, rehearsed=False)
    run_step("broken", [sys.executable, "-c", _ROW + ending], limit_s, report)
    results = json.loads((tmp_path / "check-gpu.json").read_text())
    if limit_s > 0:  # else it may be killed before it tells anything
        assert results["steps"]["broken"] == [{"figure": 7}]
    assert results["notes"] == {"broken": note}
    assert not list((tmp_path / "temporary").iterdir())


def test_figures_that_the_driver_does_not_tell_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = create_autospec(pynvml)
    untold = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    driver.nvmlDeviceGetCount.return_value = 1
    driver.nvmlDeviceGetUtilizationRates.side_effect = untold
    driver.nvmlDeviceGetMemoryInfo.side_effect = untold
    driver.nvmlDeviceGetName.return_value = "a part of a GPU"
    monkeypatch.setattr(machine, "_nvml", lambda: driver)
    with machine.GpuWatch() as watch:
        pass
    assert (watch.use, watch.memory_mib) == (None, None)
    (gpu,) = machine._gpus()
    assert (gpu["name"], gpu["memory_mib"]) == ("a part of a GPU", None)
