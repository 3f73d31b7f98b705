"""High dynamic range becomes an ordinary picture that looks as similar as possible."""

from __future__ import annotations

import numpy as np
import pytest

from shared.media.pixels import plane_arrays
from splitter.media.normalise import Normaliser
from splitter.media.tonemap import REFERENCE_WHITE, Gamut, Look, Transfer, look_of, to_bt709

PQ = Look(Transfer.PQ, Gamut.BT2020, 1000.0)
HLG = Look(Transfer.HLG, Gamut.BT2020, 1000.0)


def pq_code(light):
    """SMPTE ST 2084, written down once more: code value of light in cd/m2."""
    y = (np.asarray(light, float) / 10000) ** (2610 / 16384)
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    return ((c1 + c2 * y) / (1 + c3 * y)) ** (2523 / 4096 * 128)


def shown(code, look):
    """The light that an ordinary display makes of a grey, as a share of its white."""
    return float(to_bt709(np.full((1, 3), code), look)[0, 0]) ** 2.4


@pytest.mark.parametrize("light", [0, 0.5, 5, 26, 58, 90])
def test_dark_and_middle_tones_keep_their_light(light):
    assert shown(pq_code(light), PQ) == pytest.approx(light / REFERENCE_WHITE, abs=0.005)


def test_highlights_are_rolled_off_and_stay_in_order():
    lights = [50, 100, 203, 400, 700, 1000]
    levels = [shown(pq_code(light), PQ) for light in lights]
    assert levels == sorted(levels)
    assert len(set(levels)) == len(levels)
    assert levels[-1] == pytest.approx(1.0, abs=0.01)


def test_reference_white_is_nearly_white_in_both_systems():
    # HLG has it at 75 % of its signal, PQ at 58 %
    assert 0.75 < shown(pq_code(REFERENCE_WHITE), PQ) < 0.95
    assert shown(0.75, HLG) == pytest.approx(shown(pq_code(REFERENCE_WHITE), PQ), abs=0.01)


def test_a_brighter_master_is_compressed_more():
    bright = Look(Transfer.PQ, Gamut.BT2020, 4000.0)
    assert shown(pq_code(400), bright) < shown(pq_code(400), PQ)


def test_greys_stay_grey_and_no_colour_leaves_the_range():
    rng = np.random.default_rng(2)
    for look in (PQ, HLG, Look(Transfer.DISPLAY, Gamut.P3, REFERENCE_WHITE)):
        greys = to_bt709(np.linspace(0, 1, 20)[:, None].repeat(3, 1), look)
        assert np.ptp(greys, axis=1).max() < 0.002
        colours = to_bt709(rng.uniform(0, 1, (1000, 3)), look)
        assert colours.min() >= 0
        assert colours.max() <= 1


def test_a_colour_that_can_be_shown_keeps_its_hue():
    # Given an orange within BT.709, as BT.2020 mixes it
    orange = np.array([90.0, 45.0, 12.0])
    to_2020 = np.linalg.inv(np.array(Gamut.BT2020.value))
    found = to_bt709(pq_code(to_2020 @ orange)[None], PQ)[0] ** 2.4 * REFERENCE_WHITE
    # Then it is the same light
    assert found == pytest.approx(orange, rel=0.03)


def hdr_frame(code, transfer, size=(64, 48)):
    """A flat 10-bit BT.2020 picture of one RGB code value."""
    import av

    red, green, blue = code
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    values = (
        64 + 876 * luma,
        512 + 896 * (blue - luma) / 1.8814,
        512 + 896 * (red - luma) / 1.4746,
    )
    frame = av.VideoFrame(*size, "yuv420p10le")
    for plane, value in zip(frame.planes, values, strict=True):
        shape = (plane.height, plane.line_size // 2)
        np.ndarray(shape, np.uint16, memoryview(plane))[...] = round(value)
    frame.colorspace, frame.color_range, frame.color_primaries = 9, 1, 9
    frame.color_trc = transfer
    return frame


@pytest.mark.parametrize(("transfer", "look"), [(16, PQ), (18, HLG)], ids=["PQ", "HLG"])
def test_every_frame_is_mapped_as_the_formulas_say(transfer, look):
    codes = [(0.3, 0.3, 0.3), (0.5, 0.4, 0.3), (0.3, 0.45, 0.4), (0.4, 0.3, 0.5)]
    frames = [hdr_frame(code, transfer) for code in codes]
    assert {look_of(frame) for frame in frames} == {look}
    normaliser = Normaliser(frames[0])
    for code, frame in zip(codes, frames, strict=True):
        (out,) = normaliser.push(frame)
        check_mapped(out, code, look)


def check_mapped(out, code, look):
    red, green, blue = to_bt709(np.array(code), look)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (
        16 + 219 * luma,
        128 + 224 * (blue - luma) / 1.8556,
        128 + 224 * (red - luma) / 1.5748,
    )
    assert [float(p.mean()) for p in plane_arrays(out)] == pytest.approx(expected, abs=2.5)
    tags = (out.format.name, out.colorspace, out.color_range, out.color_primaries, out.color_trc)
    assert tags == ("yuv420p", 1, 1, 1, 1)


@pytest.mark.parametrize("transfer", [1, 2, 6, 14])
def test_ordinary_pictures_are_not_tone_mapped(transfer):
    frame = hdr_frame((0.5, 0.5, 0.5), transfer)
    frame.color_primaries = 1
    assert look_of(frame) is None


def test_wide_gamut_of_ordinary_range_is_converted_without_tone_mapping():
    frame = hdr_frame((0.5, 0.5, 0.5), 1)
    assert look_of(frame) == Look(Transfer.DISPLAY, Gamut.BT2020, REFERENCE_WHITE)
    (out,) = Normaliser(frame).push(frame)
    assert [float(p.mean()) for p in plane_arrays(out)] == pytest.approx([125.5, 128, 128], abs=1)


def test_high_dynamic_range_is_scaled_and_evened_like_any_other():
    frame = hdr_frame((0.3, 0.3, 0.3), 16, (127, 63))
    normaliser = Normaliser(frame, max_side=64)
    (out,) = normaliser.push(frame)
    assert (out.width, out.height) == normaliser.size == (64, 32)


def saturation(colour):
    """How far a colour is from grey, as sent to a display."""
    return 1 - colour.min(axis=-1) / colour.max(axis=-1)


def mapped_by_hable(codes, look):
    """What FFmpeg's zscale and tonemap=hable make of a colour: all channels by one factor."""
    a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30

    def hable(x):
        return (x * (x * a + b * c) + d * e) / (x * (x * a + b) + d * f) - e / f

    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - 0.55991073) / 0.17883277)
                                                   + 0.28466892) / 12)  # fmt: skip
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    light = 10.0 * scene * luminance[..., None] ** 0.2
    light = np.maximum(light @ np.array(look.gamut.value).T, 0.0)
    brightest = light.max(axis=-1, keepdims=True)
    mapped = light * hable(brightest) / hable(10.0) / brightest
    return np.clip(mapped, 0.0, 1.0) ** (1 / 2.4)


@pytest.mark.parametrize(
    ("red", "green", "blue"),
    [
        (0.75, 0.72, 0.25),  # yellow
        (0.75, 0.55, 0.20),  # orange
        (0.90, 0.85, 0.40),
        (0.90, 0.60, 0.30),
        (0.80, 0.35, 0.25),  # red
        (0.70, 0.50, 0.42),  # skin
    ],
)
def test_bright_warm_colours_are_not_bleached(red, green, blue):
    colour = np.array([[red, green, blue]])
    ours, theirs = to_bt709(colour, HLG), mapped_by_hable(colour, HLG)
    assert saturation(ours)[0] >= 0.8 * saturation(theirs)[0]
    # And it is as bright as before, but for what its saturation costs
    assert ours.max() >= 0.95 * theirs.max()
