"""How a command ends: exit codes, reports, and its patience with a pipeline that does nothing."""

from __future__ import annotations

import json

import pytest

from cli.commands import common
from cli.commands.common import Patience, exit_code
from cli.left_out import explain_left_out
from cli.report import Report
from shared.contracts.errors import SourceRefused
from shared.contracts.status import Failure, State, Status
from shared.contracts.style_request import StyleRequest


def record(state: State, **more: object) -> Status:
    return Status.model_validate(
        {
            "job_id": "0" * 24,
            "state": state,
            "video_name": "clip.mp4",
            "video_url": "https://example.org/clip.mp4",
            "style": StyleRequest(style="udnie", strength=0.5),
            "started_at": "2026-01-01T00:00:00.000+00:00",
            "updated_at": "2026-01-01T00:00:10.000+00:00",
            **more,
        }
    )


SOURCE = {
    "width": 64, "height": 48, "coded_width": 64, "coded_height": 48, "codec": "h264",
    "time_base": "1/25",
}  # fmt: skip
DONE = Report.of(record("done", frames=100, result="clip.udnie.mp4"), "/tmp/clip.udnie.mp4")
DEGRADED = Report.of(record("degraded", frames=90, result="clip.udnie.mp4"))
FAILED = Report.of(record("failed", error=Failure(code="X", message="It broke.")))
CANCELLED = Report.of(record("cancelled", frames_stylized=8))
REFUSED = Report.refused("x.txt", StyleRequest(style="udnie"), SourceRefused("X", "It is text."))


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ([], 0),
        ([DONE], 0),
        ([DONE, DEGRADED], 3),
        ([DONE, DEGRADED, FAILED], 1),
        ([CANCELLED], 1),
        ([REFUSED], 1),
        ([DONE, DEGRADED.judged_strictly()], 1),
        ([DONE.judged_strictly()], 0),
    ],
)
def test_the_worst_end_of_a_job_decides_the_exit_code(reports: list[Report], code: int) -> None:
    assert exit_code(reports) == code


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (DONE, "clip.mp4: done, 100 frames in 10.0 s, 10.0 frames/s -> /tmp/clip.udnie.mp4"),
        (FAILED, "clip.mp4: failed: It broke."),
        (CANCELLED, "clip.mp4: cancelled after 8 frames"),
        (Report.of(record("cancelled", frames_stylized=1)), "clip.mp4: cancelled after 1 frame"),
        (
            Report.of(record("stylizing", frames=64, frames_stylized=8)),
            "clip.mp4: painting, 8 of 64 frames in 10.0 s",
        ),
        (Report.of(record("splitting")), "clip.mp4: reading, 0 frames in 10.0 s"),
    ],
)
def test_a_job_is_one_sentence(report: Report, sentence: str) -> None:
    assert report.sentence() == sentence


def test_a_program_reads_the_request_and_its_outcome() -> None:
    told = json.loads(DONE.json())
    assert told["request"] == {"style": "udnie", "max_side": None, "strength": 0.5}
    assert (told["frames"], told["frames_total"]) == (100, 100)
    assert (told["result"], told["output"]) == ("clip.udnie.mp4", "/tmp/clip.udnie.mp4")


def test_tracks_that_a_result_lacks_are_among_the_warnings_for_people_and_programs() -> None:
    dropped = ("attachment (a.ttf)", "cover art (png)", "attachment (b.ttf)", "audio (apac)")
    source = {**SOURCE, "dropped": dropped}
    report = Report.of(record("done", source=source, warnings=("a flaw",)))
    flaw, files, picture = report.warnings
    assert flaw == "a flaw"
    assert files.startswith("not in the result: attachment (a.ttf), attachment (b.ttf); files ")
    assert picture.startswith("not in the result: cover art (png); file ")
    assert json.loads(report.json())["warnings"] == [flaw, files, picture]
    assert exit_code([report]) == 0


@pytest.mark.parametrize(
    ("track", "meaning"),
    [
        ("timecode", "editing software"),
        ("data (bin_data)", "cameras"),
        ("subtitle (hdmv_pgs_subtitle)", "that are text"),
        ("subtitle (ass, does not fit mp4)", "container"),
        ("second video (h264)", "one video track"),
        ("still picture (av1)", "one video track"),
        ("2 tracks of other programs", "one program"),
        ("1 track of other programs", "one program"),
    ],
)
def test_whoever_loses_a_track_reads_what_it_was(track: str, meaning: str) -> None:
    (sentence,) = explain_left_out([track])
    assert sentence.startswith(f"not in the result: {track}; ")
    assert meaning in sentence


def test_a_track_of_an_unknown_kind_is_named() -> None:
    assert explain_left_out(["hologram (xyz)"]) == ("not in the result: hologram (xyz)",)


def test_uploads_wait_for_their_turn_but_not_for_a_pipeline_that_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(common.time, "monotonic", lambda: now)
    patience = Patience(limit_s=30)
    assert not patience.see("second", None)
    now = 29
    assert not patience.see("first", record("splitting"))
    now = 1000
    assert not patience.see("second", None), "the first is being painted"
    patience.see("first", record("done"))
    now = 1029
    assert not patience.see("second", None)
    now = 1031
    assert patience.see("second", None)


def test_a_long_start_and_a_long_upload_do_not_count_as_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(common.time, "monotonic", lambda: now)
    patience = Patience(limit_s=30)
    now = 600
    assert not patience.see("job", None), "its upload has only just ended"
    now = 629
    assert not patience.see("job", None)
    now = 631
    assert patience.see("job", None)
