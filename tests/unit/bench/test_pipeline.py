"""What a measured job cost, process by process."""

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
from local.processes import Command, Supervised, Usage
from local.readiness import LineReady

STAY = "import time; print('ready now', flush=True); time.sleep(600)"
SAMPLE_S = 0.05
SAMPLES = 6


class Expensive(Supervised):
    """A process whose usage costs the one who asks a known time of the processor."""

    def __init__(self, command: Command) -> None:
        super().__init__(command, lambda: None)
        self.asked, self.asked_often = 0, asyncio.Event()

    def usage(self) -> Usage | None:
        self.asked += 1
        if self.asked == SAMPLES:
            self.asked_often.set()
        until = time.process_time() + SAMPLE_S
        while time.process_time() < until:
            pass
        return super().usage()


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
    process = Expensive(command)
    stack: Any = SimpleNamespace(processes=[process])
    try:
        await process.start()
        with CostMeter(stack) as meter:
            await process.asked_often.wait()
        costs = meter.costs(frames=1)
    finally:
        await process.stop()
    assert costs["worker"].peak_memory_mib > 1
    assert 0 < costs[CLIENT].cpu_ms_per_frame < 1000 * SAMPLE_S * SAMPLES / 2
