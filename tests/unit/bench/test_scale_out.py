"""What a simulated pool reports."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scale_out.engine import WaitingEngine
from bench.scale_out.measure import SIZES, Step, chunks_for
from bench.scale_out.report import table


def step(stylizers: int, idle: float = 0.5, **cores: float) -> Step:
    return Step(stylizers, 4.2, 1024, 45.0, 50.0, cores, idle, 2)


def test_a_pool_is_reported_against_what_its_engines_could_paint() -> None:
    rows = table([step(8, splitter=0.3, azurite=0.5)]).splitlines()
    assert "| 8 | 45.0 of 50.0 | 0.90 | 4.2 s | 0.80 | azurite, 0.50 |  |" in rows
    assert rows[-1].startswith("Nothing was saturated")


@pytest.mark.parametrize(
    ("last", "full"),
    [
        (step(8, splitter=1.2, azurite=0.3), None),
        (step(8, splitter=0.3, azurite=0.95), "azurite"),
        (step(8, splitter=1.5, azurite=0.5), "2 cores"),
        (step(8, idle=0.02, splitter=0.3), "2 cores, with the work of others"),
    ],
)
def test_the_resource_that_saturates_first_is_named(last: Step, full: str | None) -> None:
    assert last.full == full
    said = table([step(4, azurite=0.1), last]).splitlines()[-1]
    assert said == f"Saturated first, with 8 stylizers: {full}." if full else "Nothing" in said


@pytest.mark.parametrize("stylizers", SIZES)
def test_each_stylizer_of_a_pool_gets_as_many_chunks(stylizers: int) -> None:
    chunks = chunks_for(stylizers)
    assert chunks >= 8 * stylizers
    assert stylizers == 1 or chunks % 32 == 0


def test_a_simulated_engine_leaves_pixels_as_they_are() -> None:
    frames = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)
    assert WaitingEngine(0.0).paint("any", frames) is frames
