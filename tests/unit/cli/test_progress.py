"""What users see while they wait: screens of 40, 80 and 120 columns, and plain lines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.meter import Meter
from cli.progress import JobProgress
from cli.screen import clock, lines, shorten
from shared.contracts.status import SplitProgress, State, Status, Waiting
from shared.contracts.style_request import StyleRequest


def record(state: State, *, frames: int = 0, stylized: int = 0) -> Status:
    return Status(
        job_id="0" * 24,
        state=state,
        video_name="clip.mp4",
        video_url="https://example.org/clip.mp4",
        style=StyleRequest(style="udnie"),
        frames=frames,
        frames_stylized=stylized,
        started_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:00:10.000+00:00",
    )


def at_work(name: str, expected: int | None, *states: tuple[float, Status | None]) -> Meter:
    meter = Meter(name, expected)
    for now, status in states:
        meter.update(status, SplitProgress(frames=400, chunks=13), now)
    return meter


@pytest.fixture
def meters() -> list[Meter]:
    return [
        at_work(
            "beach.mp4",
            1200,
            (0, record("splitting", stylized=8)),
            (9.6, record("splitting", stylized=200)),
        ),
        at_work("A rather long name [dQw4w9WgXcQ].mp4", None, (0, record("splitting"))),
        at_work(
            "日本語の動画.mp4",
            100_000,
            (0, record("stylizing", frames=100_000, stylized=10)),
            (18, record("stylizing", frames=100_000, stylized=100)),
        ),
        at_work("line\nbreak.mp4", 300, (0, None)),
        at_work("ended.mp4", 100, (0, record("done", frames=100, stylized=100))),
    ]


def test_reading_a_video_does_not_make_its_painting_slow() -> None:
    states = [(0, record("splitting")), (20, record("splitting", stylized=8))]
    assert at_work("clip.mp4", 300, *states).frames_per_second is None
    meter = at_work("clip.mp4", 300, *states, (22, record("splitting", stylized=40)))
    assert meter.frames_per_second == pytest.approx(16)


SCREENS = Path(__file__).parent / "screens"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_job_has_a_line_that_can_be_read(meters: list[Meter], width: int) -> None:
    shown = lines(meters, failed=0, width=width, height=24)
    assert "\n".join(shown) + "\n" == (SCREENS / f"{width}.txt").read_text(encoding="utf-8")
    assert all(cell_len(line) <= width for line in shown)


def test_jobs_at_work_are_shown_before_those_that_wait(meters: list[Meter]) -> None:
    crowd = [at_work(f"{i}.mp4", 300, (0, None)) for i in range(47)] + meters
    shown = lines(crowd, failed=1, width=80, height=10)
    assert len(shown) == 9
    assert [line.split()[0] for line in shown[:2]] == ["beach.mp4", "A"]
    assert shown[-2].strip() == "and 44 more"
    assert shown[-1].startswith("0 of 52 done, 1 failed")


@pytest.mark.parametrize("width", range(1, 40))
def test_lines_fit_terminals_that_are_too_narrow_to_read(meters: list[Meter], width: int) -> None:
    shown = lines(meters, failed=2, width=width, height=24)
    assert all(cell_len(line) <= width for line in shown)


@pytest.mark.parametrize("width", range(-5, 30))
def test_any_name_fits_any_width(width: int) -> None:
    for name in ("x" * 100, "日" * 100, "👩‍👩‍👧‍👦" * 20, "", "a日b"):
        assert cell_len(shorten(name, width)) == max(0, width)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36_000, "10h00m")]
)
def test_a_clock_is_short(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_percent_is_of_what_is_known_and_full_only_at_the_end() -> None:
    meter = Meter("clip.mp4", expected=100)
    meter.update(record("splitting", stylized=50), None, 0)
    assert meter.percent == 50
    meter.update(record("splitting", stylized=50), SplitProgress(frames=200, chunks=7), 1)
    assert meter.percent == 25, "the file promised too little"
    meter.update(record("assembling", frames=200, stylized=200), None, 2)
    assert meter.percent == 99
    meter.update(record("done", frames=200, stylized=200), None, 3)
    assert meter.percent == 100


def test_a_job_that_has_to_wait_starts_once_and_says_what_for() -> None:
    log = io.StringIO()
    works = record("splitting", stylized=8)
    since = Waiting(reason="a splitter", since=works.updated_at)
    waits = works.model_copy(update={"waiting": since})
    with JobProgress(console=Console(file=log, width=80)) as progress:
        progress.explain_waiting = lambda: "the disk is full"
        meter = progress.add("clip.mp4", 300)
        for status in (None, record("queued"), works, waits, waits, works, waits):
            progress.show(meter, status, None)
    waiting = "clip.mp4: waiting for a splitter (the disk is full)"
    assert log.getvalue().splitlines() == ["clip.mp4: started", waiting, waiting]


def test_without_a_terminal_there_are_lines_at_the_start_and_at_every_tenth() -> None:
    log = io.StringIO()
    with JobProgress(console=Console(file=log, width=80)) as progress:
        meter = progress.add("[bold]clip.mp4", expected=100)
        for stylized in range(0, 100, 2):
            progress.show(meter, record("splitting", stylized=stylized), None)
        progress.show(meter, record("done", frames=100, stylized=100), None)
    told = log.getvalue().splitlines()
    assert told[0] == "[bold]clip.mp4: started"
    assert [line.split(",")[0] for line in told[1:]] == [
        f"[bold]clip.mp4: {percent}%" for percent in range(10, 100, 10)
    ]


def test_quiet_is_quiet() -> None:
    log = io.StringIO()
    with JobProgress(console=Console(file=log, force_terminal=True), quiet=True) as progress:
        progress.say("hello")
        progress.show(progress.add("clip.mp4", 10), record("splitting", stylized=5), None)
    assert log.getvalue() == ""


async def test_on_a_terminal_lines_are_live_and_reports_stay_above() -> None:
    log = io.StringIO()
    console = Console(file=log, force_terminal=True, width=80, height=10)
    with JobProgress(console=console) as progress:
        with progress.starting("starting") as waiting:
            waiting(["splitter"])
        meter = progress.add("clip.mp4", 100)
        progress.show(meter, record("stylizing", frames=100, stylized=40), None)
    shown = log.getvalue()
    assert "ready after" in shown
    assert "clip.mp4" in shown
    assert "40%" in shown


async def test_a_terminal_without_unicode_gets_the_characters_that_it_has() -> None:
    log = io.BytesIO()
    file = io.TextIOWrapper(log, encoding="latin-1", errors="backslashreplace")
    console = Console(file=file, force_terminal=True, width=80, height=10)
    with JobProgress(console=console) as progress:
        meter = progress.add("日本.mp4", 100)
        progress.show(meter, record("stylizing", frames=100, stylized=50), None)
    file.flush()
    assert b"painting  50% #######......" in log.getvalue()
    assert b"??.mp4" in log.getvalue()
    assert b"\\u" not in log.getvalue()
