"""What a simulated pool reports."""

from __future__ import annotations

import numpy as np

from bench.scale_out.engine import WaitingEngine
from bench.scale_out.measure import Step
from bench.scale_out.report import table


def test_a_pool_is_reported_against_what_its_engines_could_paint() -> None:
    step = Step(8, 4.2, 1024, 45.0, 50.0, {"splitter": 0.3, "azurite": 0.5})
    assert (
        table([step]).splitlines()[-1]
        == "| 8 | 45.0 of 50.0 | 0.90 | 4.2 s | 0.80 | azurite, 0.50 |"
    )


def test_a_simulated_engine_leaves_pixels_as_they_are() -> None:
    frames = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    assert WaitingEngine(0.0).paint("any", frames) is frames
