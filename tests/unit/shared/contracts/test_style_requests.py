"""Style requests: equal requests are one job, and invalid ones are reported in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.errors import StyleError
from shared.contracts.layout import job_id, result_blob
from shared.contracts.style_blend import WHOLE, blend_text, parse_blend
from shared.contracts.style_request import BRUSHES, LONGEST_S, MOST_FRAMES, QUALITIES, StyleRequest
from shared.contracts.style_request_text import format_style_request, parse_style_request

UPLOAD = ("uploads", "x.mp4", "0x1")

names = st.from_regex(r"[a-z]{1,8}(-[a-z]{1,4})?", fullmatch=True)
blends = st.dictionaries(names, st.integers(1, 9999), min_size=1, max_size=4)
requests = st.builds(
    StyleRequest,
    style=blends.map(lambda weights: ",".join(f"{n}:{w}" for n, w in weights.items())),
    max_side=st.none() | st.integers(16, 16384),
    strength=st.floats(0, 1),
    preserve_color=st.booleans(),
    start=st.floats(0, LONGEST_S),
    duration=st.none() | st.floats(0.001, LONGEST_S),
    max_frames=st.none() | st.integers(1, MOST_FRAMES),
    brush=st.none() | st.sampled_from(BRUSHES),
    quality=st.none() | st.sampled_from(QUALITIES),
    codec=st.sampled_from(["h264", "hevc", "av1"]),
)


def test_names_of_a_plain_request_and_its_job_never_change() -> None:
    plain = StyleRequest(style="starry-night")
    assert plain.to_json() == b'{"style":"starry-night","max_side":null}'
    assert job_id(*UPLOAD, plain) == "0d4616290c6b3fc1437c2032"
    smaller = StyleRequest(style="starry-night", max_side=640)
    assert job_id(*UPLOAD, smaller) == "c19d80e1588994d367c939ad"


def test_a_request_of_an_older_service_is_understood() -> None:
    body = b'{"style":"starry-night","max_side":640}'
    assert StyleRequest.model_validate_json(body) == StyleRequest(
        style="starry-night", max_side=640, strength=1.0, preserve_color=False
    )


@pytest.mark.parametrize(
    "same",
    [
        {"style": "starry-night:0.6,great-wave:0.4"},
        {"style": "great-wave:0.4,starry-night:0.6"},
        {"style": " great-wave : 2 , starry-night : 3 "},
        {"style": "great-wave:.2,starry-night:0.6,great-wave:0.2"},
        {"style": "great-wave:0.40,starry-night:0.60,the-scream:0"},
        {"style": "great-wave:0.4,starry-night:0.6", "strength": 0.999, "preserve_color": False},
    ],
)
def test_equal_requests_are_one_job_however_they_are_written(same: dict[str, object]) -> None:
    request = StyleRequest(**same)
    assert request.style == "great-wave:0.40,starry-night:0.60"
    canonical = StyleRequest(style="great-wave:0.40,starry-night:0.60")
    assert job_id(*UPLOAD, request) == job_id(*UPLOAD, canonical)


def test_different_requests_are_different_jobs() -> None:
    others = [
        {"style": "a"},
        {"style": "a:0.5,b:0.5"},
        {"style": "a:0.51,b:0.49"},
        {"style": "a", "strength": 0.99},
        {"style": "a", "strength": 0.0},
        {"style": "a", "preserve_color": True},
        {"style": "a", "preserve_color": True, "strength": 0.5},
        {"style": "a", "start": 1.5},
        {"style": "a", "start": 1.501},
        {"style": "a", "duration": 1.5},
        {"style": "a", "max_frames": 48},
        {"style": "a", "brush": 720},
        {"style": "a", "quality": 60},
        {"style": "a", "codec": "av1"},
    ]
    assert len({job_id(*UPLOAD, StyleRequest(**wish)) for wish in others}) == len(others)


@pytest.mark.parametrize(
    "text", ["the-scream", "the-scream:1", "the-scream:7,other:0", "the-scream,the-scream"]
)
def test_a_blend_of_one_style_is_that_style(text: str) -> None:
    assert StyleRequest(style=text).style == "the-scream"


def test_styles_without_weights_share_alike() -> None:
    assert StyleRequest(style="c,b,a").style == "a:0.34,b:0.33,c:0.33"


@given(blends)
def test_shares_always_add_up_and_their_text_means_the_same_again(weights: dict[str, int]) -> None:
    portions = parse_blend(",".join(f"{name}:{weight}" for name, weight in weights.items()))
    assert sum(percent for _, percent in portions) == WHOLE
    assert parse_blend(blend_text(portions)) == portions
    total = sum(weights.values())
    assert all(abs(p - 100 * weights[name] / total) < 1 for name, p in portions)


@given(requests)
def test_a_request_survives_json_and_metadata(request: StyleRequest) -> None:
    assert StyleRequest.model_validate_json(request.to_json()) == request
    assert parse_style_request(format_style_request(request), "default") == request


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"style": "a:much"}, "the weight of 'a' must be a number such as 0.6, not 'much'"),
        ({"style": "a:-1,b:1"}, "the weight of 'a' must be a number such as 0.6, not '-1'"),
        ({"style": "a:nan,b:1"}, "the weight of 'a' must be a number such as 0.6, not 'nan'"),
        ({"style": "a:٣,b:1"}, "the weight of 'a' must be a number such as 0.6, not '٣'"),
        ({"style": "a:"}, "the weight of 'a' must be a number such as 0.6, not ''"),
        (
            {"style": "a:0,b:0"},
            "the weights of 'a:0,b:0' add up to 0: give one style a weight above 0",
        ),
        ({"style": "a,b,c,d,e"}, "a blend has at most 4 styles, and 'a,b,c,d,e' names 5"),
        ({"style": "a,,b"}, "a blend is written NAME:WEIGHT,NAME:WEIGHT, not 'a,,b'"),
        ({"style": ":0.5"}, "a blend is written NAME:WEIGHT,NAME:WEIGHT, not ':0.5'"),
        ({"strength": "1.1"}, "strength must be a number from 0 to 1, not '1.1'"),
        ({"strength": "-0"}, "strength must be a number from 0 to 1, not '-0'"),
        ({"strength": "70%"}, "strength must be a number from 0 to 1, not '70%'"),
        ({"preserve_color": "yes"}, "preserve_color must be true or false, not 'yes'"),
        ({"start": "-1"}, "start must be seconds or [HOURS:]MINUTES:SECONDS, not '-1'"),
        ({"start": "1:75"}, "start must be seconds or [HOURS:]MINUTES:SECONDS, not '1:75'"),
        ({"duration": "soon"}, "duration must be seconds or [HOURS:]MINUTES:SECONDS, not 'soon'"),
        ({"duration": "0.0"}, "duration must be longer than 0"),
        ({"max_frames": "0"}, "max_frames must be a whole number from 1 to 100000000, not '0'"),
        ({"brush": "32"}, "brush must be a whole number from 64 to 16384, not '32'"),
        ({"quality": "101"}, "quality must be a whole number from 0 to 100, not '101'"),
        ({"codec": "vp9"}, "codec must be h264, hevc or av1, not 'vp9'"),
        ({"max_side": "8"}, "max_side must be a whole number from 16 to 16384, not '8'"),
    ],
)
def test_an_invalid_request_is_reported_in_one_sentence(
    wishes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(StyleError) as refusal:
        parse_style_request(wishes, "default")
    assert refusal.value.message == sentence
    assert refusal.value.code == "BAD_REQUEST"


def test_everything_invalid_is_reported_at_once() -> None:
    with pytest.raises(StyleError) as refusal:
        parse_style_request(
            {"style": "a:b", "strength": "x", "preserve_color": "y", "max_side": "z"}, "d"
        )
    assert refusal.value.message.count(";") == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1.5", 1.5), (".25", 0.25), ("90", 90.0), ("1:30", 90.0), ("1:02:03.5", 3723.5)],
)
def test_times_are_written_in_seconds_or_as_on_a_clock(text: str, seconds: float) -> None:
    request = parse_style_request({"start": text}, "default")
    assert request == StyleRequest(style="default", start=seconds)


def test_empty_texts_request_nothing() -> None:
    texts = {"style": " ", "strength": "", "preserve_color": "", "max_side": ""}
    assert parse_style_request(texts, "default") == StyleRequest(style="default")


@pytest.mark.parametrize(
    "body", [b'{"style":"a:b"}', b'{"style":"a","strength":2}', b'{"style":7}']
)
def test_an_event_with_a_senseless_request_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(ValidationError):
        StyleRequest.model_validate_json(body)


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"style": "the-scream"}, "beach.the-scream.mp4"),
        (
            {"style": "starry-night:0.6,great-wave:0.4"},
            "beach.great-wave-40-starry-night-60.mp4",
        ),
        ({"style": "the-scream", "strength": 0.7}, "beach.the-scream-strength-70.mp4"),
        ({"style": "the-scream", "preserve_color": True}, "beach.the-scream-own-color.mp4"),
        (
            {"style": "the-scream", "start": 1.5, "duration": 2, "max_frames": 48, "brush": 480},
            "beach.the-scream-brush-480-from-1500ms-for-2000ms-frames-48.mp4",
        ),
        (
            {"style": "udnie", "quality": 80, "codec": "hevc"},
            "beach.udnie-quality-80-hevc.mp4",
        ),
    ],
)
def test_results_are_named_after_what_was_asked_for(wish: dict[str, object], name: str) -> None:
    assert result_blob("beach.mov", StyleRequest(**wish).slug, "mp4") == name
