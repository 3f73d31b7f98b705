"""Planar RGB and frames are converted exactly, in both directions."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from shared.media.pixels import from_planar_rgb, plane_arrays, to_planar_rgb


def yuv_of(red, green, blue):
    """BT.709 limited range, from the standard's formulas."""
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return (
        16 + luma * 219 / 255,
        128 + (blue - luma) / 1.8556 * 224 / 255,
        128 + (red - luma) / 1.5748 * 224 / 255,
    )


COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (127, 127, 127),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "skin": (224, 172, 105),
}


def flat(colour, width=32, height=16):
    return np.tile(np.array(colour, np.uint8)[:, None, None], (1, height, width))


def reduced(plane):
    """Halve both sides: columns sited left weigh 1, 2, 1, and rows sited between 1, 3, 3, 1."""
    edged = np.pad(plane, 1, mode="edge")
    rows = (edged[:-3:2] + 3 * edged[1:-2:2] + 3 * edged[2:-1:2] + edged[3::2]) / 8
    return (rows[:, :-2:2] + 2 * rows[:, 1:-1:2] + rows[:, 2::2]) / 4


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_a_colour_becomes_what_bt709_says(colour):
    frame = from_planar_rgb(flat(colour))
    found = [plane.mean() for plane in plane_arrays(frame)]
    assert found == pytest.approx(yuv_of(*colour), abs=0.6)


def test_every_pixel_of_a_picture_becomes_the_nearest_level():
    picture = np.random.default_rng(0).integers(0, 256, (3, 64, 128), np.uint8)
    luma, blue, red = yuv_of(*picture.astype(float))
    exact = (luma, reduced(blue), reduced(red))
    for plane, wanted in zip(plane_arrays(from_planar_rgb(picture)), exact, strict=True):
        assert abs(plane - wanted).max() < 0.55


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_a_colour_survives_the_way_there_and_back(colour):
    out = np.empty((3, 16, 32), np.uint8)
    to_planar_rgb(from_planar_rgb(flat(colour)), out)
    assert abs(out.astype(int) - flat(colour)).max() <= 2


def test_a_new_frame_is_tagged_and_has_no_timestamp():
    frame = from_planar_rgb(flat((1, 2, 3)))
    assert frame.format.name == "yuv420p"
    tags = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    assert tags == (1, 1, 1, 1)
    assert frame.pts is None


def test_a_smooth_picture_is_not_shifted_by_repeated_conversion():
    # Given a colour ramp, whose chroma would drift if the two directions sited it differently
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.stack(
        [np.tile(ramp, (32, 1)), np.full((32, 64), 90), np.tile(ramp[::-1], (32, 1))]
    )
    picture = picture.astype(np.uint8)
    # When it is converted there and back five times
    out = picture.copy()
    for _ in range(5):
        to_planar_rgb(from_planar_rgb(out), out)
    # Then it is where it was
    inner = slice(4, -4)
    assert abs(out.astype(int) - picture)[:, :, inner].max() <= 4


def test_a_frame_is_written_into_one_picture_of_a_padded_batch():
    batch = np.full((2, 3, 24, 40), 7, np.uint8)
    to_planar_rgb(from_planar_rgb(flat((255, 0, 0))), batch[1][:, :16, :32])
    assert (batch[0] == 7).all()
    assert (batch[1][:, 16:] == 7).all()
    assert (batch[1][:, :, 32:] == 7).all()
    assert batch[1][0, :16, :32].min() >= 253


def test_arrays_of_another_shape_or_type_are_refused():
    frame = from_planar_rgb(flat((0, 0, 0)))
    with pytest.raises(ValueError, match="cannot hold"):
        to_planar_rgb(frame, np.empty((3, 16, 30), np.uint8))
    with pytest.raises(ValueError, match="not a planar RGB"):
        from_planar_rgb(np.empty((4, 16, 32), np.uint8))
    with pytest.raises(ValueError, match="not a planar RGB"):
        from_planar_rgb(np.empty((3, 16, 32), np.float32))


def test_threads_do_not_disturb_each_other():
    wrong = []

    def work(colour):
        out = np.empty((3, 64, 64), np.uint8)
        for _ in range(50):
            to_planar_rgb(from_planar_rgb(flat(colour, 64, 64)), out)
            if abs(out.astype(int) - flat(colour, 64, 64)).max() > 2:
                wrong.append(colour)

    threads = [threading.Thread(target=work, args=(c,)) for c in COLOURS.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
