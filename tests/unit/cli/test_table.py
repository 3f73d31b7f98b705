"""The list of jobs as people see it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from cli.table import table
from shared.contracts.status import Failure, State, Status, Waiting
from shared.contracts.style_request import StyleRequest

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def job(letter: str, state: State, started: str, **more: object) -> Status:
    return Status(
        job_id=letter * 24,
        state=state,
        video_name="clip.mp4",
        video_url="https://example.org/clip.mp4",
        style=StyleRequest(style="udnie"),
        started_at=f"{started}.000+00:00",
        updated_at="2026-01-01T23:59:59.000+00:00",
        **more,
    )


JOBS = [
    job("a", "stylizing", "2026-01-01T23:59:30", frames=200, frames_stylized=50),
    job("b", "failed", "2026-01-01T22:00:00", error=Failure(code="X", message="It broke.")),
    job("c", "done", "2025-12-30T00:00:00", frames=9, result="clip.udnie.mp4"),
]


def test_a_job_is_a_line() -> None:
    assert table(JOBS, 80, NOW) == [
        "JOB                      STATE     DONE  AGE  VIDEO",
        "aaaaaaaaaaaaaaaaaaaaaaaa painting   25%  30s  clip.mp4 in udnie",
        "bbbbbbbbbbbbbbbbbbbbbbbb failed           2h  clip.mp4: It broke.",
        "cccccccccccccccccccccccc done      100%   3d  clip.mp4 -> clip.udnie.mp4",
    ]


def test_a_job_that_waits_names_what_for_and_for_how_long() -> None:
    waiting = Waiting(reason="a stylizer", since="2026-01-01T23:35:00.000+00:00")
    [_, line] = table([JOBS[0].model_copy(update={"waiting": waiting})], 100, NOW)
    assert line.endswith("  clip.mp4 in udnie: waiting for a stylizer for 25m")


@pytest.mark.parametrize("width", [*range(1, 40), 40, 60, 80, 120])
def test_a_line_fits_the_terminal(width: int) -> None:
    long = JOBS[0].model_copy(update={"video_name": "日" * 200})
    assert all(cell_len(line) <= width for line in table([long, *JOBS], width, NOW))
