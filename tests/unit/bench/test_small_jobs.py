"""What a job costs beside its frames."""

from __future__ import annotations

import pytest

from bench import small_jobs


@pytest.mark.slow
async def test_many_short_videos_are_measured_beside_a_long_one() -> None:
    figures = await small_jobs.measure("starry-night", 1, {}, jobs=3, frames=8)
    assert figures.jobs_per_second > 0
    assert 0 < figures.cpu_ms_per_frame < figures.cpu_ms_per_job
    assert figures.cpu_ms_beside_frames > 0
