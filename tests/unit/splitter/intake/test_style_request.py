"""What an upload requests: metadata before folder before default, in any letter case."""

from __future__ import annotations

import pytest

from shared.contracts.errors import StyleError
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import Gallery
from splitter.intake.style_request import style_request


def wish(name: str, **metadata: str) -> StyleRequest:
    return style_request(name, metadata, Gallery(), "starry-night")


def test_metadata_asks_for_everything_that_can_be_asked_for() -> None:
    request = wish(
        "clip.mp4",
        Style="the-scream:3,starry-night:1",
        STRENGTH="0.7",
        Preserve_Color="True",
        max_side="640",
    )
    assert request == StyleRequest(
        style="starry-night:0.25,the-scream:0.75",
        strength=0.7,
        preserve_color=True,
        max_side=640,
    )


def test_a_folder_names_the_style_and_metadata_adds_to_it() -> None:
    request = wish("the-scream/clip.mp4", strength="0.5")
    assert request == StyleRequest(style="the-scream", strength=0.5)


def test_a_folder_that_is_written_like_a_blend_is_a_folder() -> None:
    assert wish("the-scream:1,starry-night:1/clip.mp4").style == "starry-night"


def test_the_default_may_be_a_blend() -> None:
    request = style_request("clip.mp4", {}, Gallery(), "the-scream:1,starry-night:3")
    assert request.style == "starry-night:0.75,the-scream:0.25"


@pytest.mark.parametrize(
    ("key", "about"),
    [
        ("style", "the weight of 'a'"),
        ("strength", "strength"),
        ("preserve_color", "preserve_color"),
        ("max_side", "max_side"),
    ],
)
def test_every_invalid_request_is_refused_by_name(key: str, about: str) -> None:
    with pytest.raises(StyleError, match=rf"^{about} must be .*, not '(a:)?b'$"):
        wish("clip.mp4", **{key: "a:b"})
