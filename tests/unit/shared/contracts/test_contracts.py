"""Messages, manifests, names: they survive JSON, and stay compatible."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.errors import MessageError, NewerMessageError
from shared.contracts.layout import LONGEST_NAME, chunk_blob, is_job_id, job_id, result_blob
from shared.contracts.manifest import Chunk, Manifest, Source, pts_digest
from shared.contracts.messages import ChunkReady, SegmentReady, SplitFailed, decode
from shared.contracts.segment_place import SegmentPlace
from shared.contracts.style_request import StyleRequest

STYLE = StyleRequest(style="starry-night")


def chunk_ready(time_base: Fraction = Fraction(1, 30000)) -> ChunkReady:
    return ChunkReady(
        job_id="0" * 24,
        chunk=Chunk(
            index=3, first_frame=96, frames=2, first_pts=96096, duration=2002, pts_digest="d"
        ),
        width=640,
        height=360,
        time_base=time_base,
        sample_aspect_ratio=Fraction(4, 3),
        style=STYLE,
    )


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=1))
def test_a_message_comes_back_exactly_whatever_its_time_base(time_base: Fraction) -> None:
    message = chunk_ready(time_base)
    assert decode(message.to_json()) == message


def test_an_event_of_a_newer_service_with_more_fields_is_understood() -> None:
    body = json.loads(SegmentReady(job_id="a", chunk=1, frames=32).to_json())
    body["colour"] = "blue"
    assert decode(json.dumps(body).encode()) == SegmentReady(job_id="a", chunk=1, frames=32)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"type":"SegmentReady","schema_version":2,"job_id":"a","chunk":1,"frames":2}',
        b'{"type":"Unheard","schema_version":1,"job_id":"a"}',
        b'{"type":"SegmentReady","schema_version":1,"job_id":"a","chunk":"one","frames":2}',
    ],
)
def test_a_body_that_is_not_one_of_our_events_is_refused(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body)


@pytest.mark.parametrize(
    ("body", "is_newer"),
    [
        (b'{"type":"Unheard","schema_version":1,"job_id":"0123456789abcdef01234567"}', True),
        (b'{"type":"JobRecalled","schema_version":2,"job_id":"0123456789abcdef01234567"}', True),
        (b'{"type":"SegmentReady","schema_version":1,"job_id":"0123456789abcdef01234567"}', False),
        (b'{"type":"Unheard","schema_version":1,"job_id":"somebody else\'s"}', False),
        (b'{"type":"Unheard","job_id":"0123456789abcdef01234567"}', False),
    ],
)
def test_an_event_of_a_newer_service_is_told_from_one_that_is_not_ours(
    body: bytes, is_newer: bool
) -> None:
    with pytest.raises(MessageError) as refusal:
        decode(body)
    assert isinstance(refusal.value, NewerMessageError) is is_newer


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_else(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body)


def test_a_float_is_not_an_exact_time_base() -> None:
    body = json.loads(chunk_ready().to_json())
    body["time_base"] = 0.0333
    with pytest.raises(MessageError, match="exact fraction"):
        decode(json.dumps(body).encode())


def test_no_fraction_is_read_that_a_few_characters_make_too_large_to_compute() -> None:
    # These are small, so that the test ends even where they are read; "1e999999999" is not.
    body = json.loads(chunk_ready().to_json())
    body["time_base"] = "1e3"
    with pytest.raises(MessageError, match="exact fraction"):
        decode(json.dumps(body).encode())
    assert SegmentPlace.read({"first_pts": "0", "duration": "1", "time_base": "1e3"}) is None


def test_a_failure_carries_its_code_and_sentence() -> None:
    failed = SplitFailed(job_id="a", code="EMPTY_FILE", message="The file is empty.")
    assert decode(failed.to_json()) == failed


def test_a_manifest_comes_back_exactly() -> None:
    manifest = Manifest(
        job_id="a",
        video_url="http://host/uploads/a%20b.mp4",
        video_name="a b.mp4",
        etag="0x1",
        style=STYLE,
        source=Source(
            width=2,
            height=2,
            coded_width=1,
            coded_height=1,
            codec="h264",
            time_base=Fraction(1, 90000),
        ),
        chunks=(chunk_ready().chunk,),
        frames=2,
    )
    assert Manifest.model_validate_json(manifest.to_json()) == manifest


def test_the_same_upload_with_the_same_request_is_the_same_job() -> None:
    job = job_id("uploads", "x.mp4", "0x1", STYLE)
    assert job_id("uploads", "x.mp4", '"0x1"', STYLE) == job
    assert is_job_id(job)


def test_another_version_name_or_style_is_another_job() -> None:
    others = {
        job_id("uploads", "x.mp4", "0x1", STYLE),
        job_id("uploads", "x.mp4", "0x2", STYLE),
        job_id("uploads", "x.mp42", "0x1", STYLE),
        job_id("uploads2", "x.mp4", "0x1", STYLE),
        job_id("uploads", "x.mp4", "0x1", StyleRequest(style="the-scream")),
        job_id("uploads", "x.mp4", "0x1", StyleRequest(style="starry-night", max_side=640)),
    }
    assert len(others) == 6


@pytest.mark.parametrize(
    ("video", "result"),
    [
        ("clip.mov", "clip.s.mp4"),
        ("folder/deep/clip.final.mp4", "folder/deep/clip.final.s.mp4"),
        ("no ending", "no ending.s.mp4"),
        (".hidden", ".hidden.s.mp4"),
        ("日本語 🎬.webm", "日本語 🎬.s.mp4"),
    ],
)
def test_results_are_named_after_their_uploads(video: str, result: str) -> None:
    assert result_blob(video, "s", "mp4") == result


@pytest.mark.parametrize("video", ["/", f"{'f' * 1020}.mp4", f"alice/{'f' * 1014}.mp4"])
def test_every_upload_has_a_name_for_its_result(video: str) -> None:
    names = {result_blob(video, "s", "mp4"), result_blob(video, "s", "mp4", "7" * 24)}
    assert len(names) == 2
    for name in names:
        assert len(name) <= LONGEST_NAME
        assert name.endswith(".mp4")
        assert name.startswith(video[:100])


def test_chunks_sort_by_name_as_by_number() -> None:
    names = [chunk_blob("j", index) for index in (0, 9, 10, 99_999)]
    assert names == sorted(names)


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=50), st.integers(-(2**40), 2**40)
)
def test_the_timestamps_digest_does_not_depend_on_the_start(pts: list[int], shift: int) -> None:
    assert pts_digest(pts) == pts_digest([p + shift for p in pts])


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=50, unique=True), st.data())
def test_one_tick_of_difference_changes_the_timestamps_digest(
    pts: list[int], data: st.DataObject
) -> None:
    moved = list(pts)
    moved[data.draw(st.integers(1, len(pts) - 1))] += 1
    assert pts_digest(moved) != pts_digest(pts)
