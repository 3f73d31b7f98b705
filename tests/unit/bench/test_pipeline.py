"""What a measured job cost is told without what measuring it costs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import pipeline
from bench.pipeline import CLIENT, CostMeter
from local.processes import Command, Supervised
from local.readiness import LineReady

STAY = "import time; print('ready now', flush=True); time.sleep(600)"
SAMPLING_S = 0.2


async def test_sampling_is_not_counted_as_the_clients_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_SAMPLING_S", 0.0)
    command = Command(
        name="worker",
        argv=(sys.executable, "-c", STAY),
        environment={"PATH": os.environ["PATH"]},
        log=tmp_path / "worker.log",
        ready=LineReady("ready "),
    )
    process = Supervised(command, lambda: None)
    stack: Any = SimpleNamespace(processes=[process])
    try:
        await process.start()
        began = time.process_time()
        with CostMeter(stack) as meter:
            while time.process_time() - began < SAMPLING_S:
                await asyncio.sleep(0)
        spent_s = time.process_time() - began
        costs = meter.costs(frames=1)
    finally:
        await process.stop()
    assert costs["worker"].peak_memory_mib > 1
    assert 0 < costs[CLIENT].cpu_ms_per_frame < 1000 * spent_s / 2
