"""Styles over time: a frame's time decides its style, and invalid schedules are refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from shared.contracts.errors import StyleError
from shared.contracts.layout import job_id
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import format_style_request, parse_style_request
from shared.contracts.style_schedule import STEPS, Look, Schedule

UPLOAD = ("uploads", "x.mp4", "0x1")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a@0s,b@10s", "a@0s,b@10s"),
        (" a @ 0 , b @ 0:10 ", "a@0s,b@10s"),
        ("a:1,b:1@0,c@1:02.5", "a:0.50,b:0.50@0s,c@62.5s"),
        ("a@0,a@5,b@10,b:2@12", "a@0s,b@10s"),
        ("a@0", "a"),
        ("b:3,a:1@0s,a:.25,b:.75@4s", "a:0.25,b:0.75"),
    ],
)
def test_equal_schedules_are_one_job_however_they_are_written(text: str, canonical: str) -> None:
    request = StyleRequest(style=text)
    assert request.style == canonical
    assert job_id(*UPLOAD, request) == job_id(*UPLOAD, StyleRequest(style=canonical))
    assert parse_style_request(format_style_request(request), "default") == request
    assert StyleRequest.model_validate_json(request.to_json()) == request


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"style": "a@0s,b@10s,c@5s"}, "the times of styles must increase: 'c' begins at 5s, and "
         "the one before it at 10s"),
        ({"style": "a@0s,b@0s"}, "the times of styles must increase: 'b' begins at 0s, and the one "
         "before it at 0s"),
        ({"style": "a@1s,b@10s"}, "the first style must begin at 0s, not at 1s"),
        ({"style": "a,b@10s"}, "the first style must begin at 0s, not at 10s"),
        ({"style": "a@0s,b"}, "styles over time are written STYLE@TIME,STYLE@TIME: 'b' has no "
         "time"),
        ({"style": "a@0s,@10s"}, "styles over time are written STYLE@TIME,STYLE@TIME, not "
         "'a@0s,@10s'"),
        ({"style": "a@0s,b@soon"}, "the time of 'b' must be seconds or [HOURS:]MINUTES:SECONDS, "
         "not 'soon'"),
        ({"style": "a@0s,b:x@5s"}, "the weight of 'b' must be a number such as 0.6, not 'x'"),
        ({"style": "a@0s,b@1s,c@1.5s"}, "the fade of 1s that begins at 1s is not over when the "
         "next style begins, at 1.5s: set fade to 0.5s or less"),
        ({"style": "a,b,c@0s,d,e@9s"}, "the fade at 9s would blend 5 styles, and a blend has at "
         "most 4: set fade to 0, or name fewer"),
        ({"style": "a", "fade": "2"}, "a fade needs several styles over time "
         "(STYLE@TIME,STYLE@TIME), and 'a' is one style"),
        ({"style": "a@0s,b@9s", "fade": "-1"}, "fade must be seconds or [HOURS:]MINUTES:SECONDS, "
         "not '-1'"),
        ({"style": ",".join(f"{'ab'[n % 2]}@{2 * n}" for n in range(65))},
         "a video has at most 64 styles over time, not 65"),
    ],
)  # fmt: skip
def test_an_invalid_schedule_is_reported_in_one_sentence(
    texts: dict[str, str], sentence: str
) -> None:
    with pytest.raises(StyleError) as refusal:
        parse_style_request(texts, "default")
    assert refusal.value.message == sentence
    assert refusal.value.code == "BAD_REQUEST"


def test_a_cut_needs_no_blend_and_may_follow_at_once() -> None:
    request = StyleRequest(style="a,b,c@0s,d,e@1s,f@1.001s", fade=0)
    looks = [request.schedule.look_at(Fraction(ms, 1000)).style for ms in (999, 1000, 1001)]
    assert looks == ["a:0.34,b:0.33,c:0.33", "d:0.50,e:0.50", "f"]


def test_a_fade_begins_at_its_time_and_is_over_a_fade_later() -> None:
    schedule = Schedule.of("a@0s,b@10s,c@20s", 2000)
    looks = [schedule.look_at(Fraction(ms, 1000)) for ms in range(0, 25_000, 10)]
    shares = {
        seconds: [look.style for look in looks[100 * seconds : 100 * (seconds + 1)]]
        for seconds in range(25)
    }
    assert all(
        set(shares[seconds]) == {style}
        for style, times in (("a", range(10)), ("b", range(12, 20)), ("c", range(22, 25)))
        for seconds in times
    )
    assert looks[1000] == Look("a")
    assert looks[1100] == Look("a:0.50,b:0.50", passing=True)
    assert len(dict.fromkeys(look for look in looks if look.passing)) == 2 * (STEPS - 1)
    assert all(look.passing == (":" in look.style) for look in looks)


def test_a_fade_from_a_blend_passes_through_blends_of_all_its_styles() -> None:
    schedule = Schedule.of("a:0.6,b:0.4@0s,b:0.5,c:0.5@1s", 1000)
    assert schedule.look_at(Fraction(3, 2)) == Look("a:0.30,b:0.45,c:0.25", passing=True)


def test_a_part_looks_as_it_does_in_the_whole() -> None:
    request = StyleRequest(style="a@0s,b@10s", start=9.5)
    assert request.starts_at == Fraction(19, 2)
    assert request.at(Fraction(19, 2)).style == "a"
    assert request.at(Fraction(21, 2)) == StyleRequest(style="a,b", start=9.5)


def test_a_style_that_begins_after_the_end_is_reported() -> None:
    schedule = Schedule.of("a@0s,b@8s,c@12s")
    assert list(schedule.unseen(Fraction(12))) == [
        "the video ends at 12 s, before the style c begins at 12s"
    ]
    assert not list(schedule.unseen(Fraction(12001, 1000)))


@pytest.mark.parametrize(
    ("request_", "slug"),
    [
        ({"style": "a@0s,b@10s"}, "a-then-b-at-10000ms"),
        ({"style": "a@0s,b:0.5,c:0.5@1.5s", "fade": 0.25}, "a-then-b-50-c-50-at-1500ms-fade-250ms"),
        ({"style": "a@0s,b@10s", "strength": 0.5}, "a-then-b-at-10000ms-strength-50"),
    ],
)
def test_results_are_named_after_a_schedule(request_: dict[str, object], slug: str) -> None:
    assert StyleRequest(**request_).slug == slug


def test_results_of_long_schedules_have_short_names_that_differ() -> None:
    names = {
        StyleRequest(style=",".join(f"style-{n % 9}@{n}s" for n in range(30)), fade=fade).slug
        for fade in (None, 0, 0.5)
    }
    assert len(names) == 3
    assert all(name.startswith("style-0-then-29-more-") and len(name) < 40 for name in names)
