"""Black bars are detected over the whole video, and only where no picture fills them."""

from __future__ import annotations

import numpy as np
import pytest
from videos import number_picture

from shared.contracts.manifest import NO_BARS, Bars
from splitter.media.split import SplitOptions

OPTIONS = SplitOptions(chunk_frames=8)


def letterboxed(number, width, height):
    picture = np.zeros((height, width), np.uint8)
    picture[24:-16] = number_picture(number, width, height - 40)
    return picture


def pillarboxed(number, width, height):
    picture = np.zeros((height, width), np.uint8)
    picture[:, 32:-32] = number_picture(number, width - 64, height)
    return picture


def with_subtitles(number, width, height):
    picture = letterboxed(number, width, height)
    if number % 3 == 0:
        picture[-10:-6, width // 4 : width // 2] = 235
    return picture


def opened_in_the_middle(number, width, height):
    if 24 <= number < 32:
        return number_picture(number, width, height)
    return letterboxed(number, width, height)


def dark_at_first(number, width, height):
    if number < 8:
        return letterboxed(number, width, height)
    return number_picture(number, width, height)


def black_at_first(number, width, height):
    return np.zeros((height, width), np.uint8) if number < 10 else letterboxed(
        number, width, height
    )  # fmt: skip


@pytest.mark.parametrize(
    ("draw", "bars"),
    [
        (number_picture, NO_BARS),
        (letterboxed, Bars(top=24, bottom=16)),
        (pillarboxed, Bars(left=32, right=32)),
        (with_subtitles, Bars(top=24, bottom=16)),
        (dark_at_first, NO_BARS),
        (black_at_first, Bars(top=24, bottom=16)),
        (lambda *_: np.zeros((160, 192), np.uint8), NO_BARS),
    ],
    ids=["none", "letterbox", "pillarbox", "subtitles", "dark scene", "fade in", "black"],
)
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_bars_are_those_of_the_whole_video(make, split_video, draw, bars, container):
    video = make.Video(frames=48, size=(192, 160), draw=draw, format=container,
                       options={"g": "4", "bf": "0"})  # fmt: skip
    found = split_video(video.make(), OPTIONS)
    assert {encoded.chunk.bars for encoded in found.chunks} == {bars}


def test_where_the_picture_fills_the_bars_there_are_none(make, split_video):
    video = make.Video(frames=48, size=(192, 160), draw=opened_in_the_middle,
                       options={"g": "4", "bf": "0"})  # fmt: skip
    found = split_video(video.make(), OPTIONS)
    boxed = Bars(top=24, bottom=16)
    assert [e.chunk.bars for e in found.chunks] == [boxed] * 3 + [NO_BARS] + [boxed] * 2


def test_looking_for_bars_changes_nothing_else(make, split_video):
    sounds = [make.Sound("flac")]
    video = make.Video(frames=48, size=(192, 160), draw=letterboxed, sounds=sounds)
    found = split_video(video.make(), OPTIONS)
    assert [frame.pts for frame in found.frames()] == video.timestamps()
    assert make.packets(found.side) == make.packets(video.make())
    assert found.end.warnings == ()
