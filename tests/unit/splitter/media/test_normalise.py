"""Whatever a picture's format, it becomes upright, even-sized and BT.709."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from PIL import Image

from shared.media.pixels import plane_arrays
from splitter.media.normalise import Normaliser, plan_geometry
from splitter.media.orientation import Orientation
from splitter.media.split import SplitOptions


def corners(frame):
    """Grey levels just inside the four corners, clockwise from the upper left."""
    grey = plane_arrays(frame)[0].astype(int)
    h, w = grey.shape
    y, x = h // 6, w // 6
    return [grey[y, x], grey[y, w - 1 - x], grey[h - 1 - y, w - 1 - x], grey[h - 1 - y, x]]


def quarters(_number, width, height):
    """Four grey quarters: 40, 90, 140, 190, clockwise from the upper left."""
    picture = np.empty((height, width), np.uint8)
    picture[: height // 2, : width // 2] = 40
    picture[: height // 2, width // 2 :] = 90
    picture[height // 2 :, width // 2 :] = 140
    picture[height // 2 :, : width // 2] = 190
    return picture


TURNS = {
    "upright": ((0, False, False), [40, 90, 140, 190]),
    "right": ((-90, False, False), [190, 40, 90, 140]),
    "left": ((90, False, False), [90, 140, 190, 40]),
    "upside down": ((180, False, False), [140, 190, 40, 90]),
    "mirrored": ((0, True, False), [90, 40, 190, 140]),
    "flipped": ((0, False, True), [190, 140, 90, 40]),
}


@pytest.mark.parametrize(("rotation", "expected"), TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("size", [(96, 64), (95, 63)], ids=["even", "odd"])
def test_a_display_matrix_is_applied_to_the_pixels(make, split_video, size, rotation, expected):
    # Given a picture whose quarters can be told apart, and a matrix that turns or mirrors it
    video = make.Video(
        frames=2, size=size, draw=quarters, rotation=rotation, pixel_format="yuv444p",
        options={"qp": "0"}, colour=(1, 1),
    )  # fmt: skip
    found = split_video(video.make())
    # Then the quarters are where a player shows them
    limited = [16 + level * 219 / 255 for level in expected]
    assert corners(found.frames()[0]) == pytest.approx(limited, abs=3)
    turned = rotation[0] in (90, -90)
    width, height = (size[1], size[0]) if turned else size
    assert (found.source.width, found.source.height) == (width + width % 2, height + height % 2)
    assert (found.source.coded_width, found.source.coded_height) == size


EXIF_TURNS = {1: "upright", 3: "upside down", 6: "right", 8: "left"}


@pytest.mark.parametrize("tag", EXIF_TURNS)
def test_motion_jpeg_with_exif_is_turned_as_its_camera_was_held(split_video, tag):
    # PyAV cannot list the side data of such frames
    _, expected = TURNS[EXIF_TURNS[tag]]
    picture = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(quarters(0, 96, 64)).convert("RGB").save(
        picture, "JPEG", quality=95, subsampling=2, exif=exif
    )
    found = split_video(motion_jpeg(picture.getvalue(), 96, 64))
    limited = [16 + level * 219 / 255 for level in expected]
    assert corners(found.frames()[0]) == pytest.approx(limited, abs=4)


def motion_jpeg(picture: bytes, width: int, height: int) -> bytes:
    """A video of three equal pictures, written as they are."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for number in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = True
            container.mux(packet)
    return file.getvalue()


def test_turning_a_picture_turns_its_pixels_too(make, split_video):
    video = make.Video(frames=1, aspect=Fraction(4, 3), rotation=(90, False, False))
    assert split_video(video.make()).source.sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.parametrize("orientation", [Orientation(), Orientation(mirror_x=True, mirror_y=True)])
def test_odd_sides_are_extended_by_repeating_the_edge(orientation):
    rng = np.random.default_rng(1)
    frame = av.VideoFrame.from_ndarray(
        rng.integers(16, 236, (35, 63)).astype(np.uint8), format="gray"
    ).reformat(format="yuv420p", dst_color_range=1)
    frame.colorspace, frame.color_range = 1, 1
    before = plane_arrays(frame)[0].copy()
    normaliser = Normaliser(frame, orientation=orientation)
    (out,) = normaliser.push(frame)
    after = plane_arrays(out)[0]
    expected = before[::-1, ::-1] if orientation.flips else before
    assert normaliser.size == (64, 36)
    assert abs(after[:35, :63].astype(int) - expected).max() <= 1
    assert (after[:35, 63] == after[:35, 62]).all()
    assert (after[35] == after[34]).all()


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((640, 360), None, (640, 360)),
        ((640, 360), 640, (640, 360)),
        ((640, 360), 320, (320, 180)),
        ((639, 357), 320, (320, 178)),
        ((1024, 8), 64, (64, 2)),
        ((358, 640), 320, (180, 320)),
    ],
)
def test_max_side_scales_down_only_and_keeps_the_shape(size, max_side, expected):
    assert plan_geometry(*size, Orientation(), max_side).upright == expected


def test_max_side_is_honoured_through_a_whole_split(make, split_video):
    found = split_video(make.Video(frames=3, size=(96, 64)).make(), SplitOptions(max_side=48))
    assert (found.source.width, found.source.height) == (48, 32)
    assert {(f.width, f.height) for f in found.frames()} == {(48, 32)}


def colour_frame(pixel_format, colour, tags, size=(64, 48)):
    """Make a frame of one RGB colour, in a pixel format, matrix and range."""
    rgb = np.tile(np.array(colour, np.uint8), (size[1], size[0], 1))
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(rgb, format="rgb24"),
        format=pixel_format,
        dst_colorspace=tags[0] if tags[0] != 2 else 5,
        dst_color_range=tags[1] or 1,
        interpolation="BICUBIC",
    )
    frame.colorspace, frame.color_range = tags
    return frame


def bt709(red, green, blue):
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = ((blue - luma) / 1.8556, (red - luma) / 1.5748)
    return [16 + luma * 219 / 255, *(128 + c * 224 / 255 for c in chroma)]


FORMATS = {
    "bt709 limited": ("yuv420p", (1, 1)),
    "bt709 full": ("yuvj420p", (1, 2)),
    "bt601 limited": ("yuv420p", (6, 1)),
    "bt601 full": ("yuv420p", (5, 2)),
    "untagged": ("yuv420p", (2, 0)),
    "4:2:2": ("yuv422p", (1, 1)),
    "4:4:4": ("yuv444p", (6, 1)),
    "4:2:2, 10 bits": ("yuv422p10le", (1, 1)),
    "4:2:0, 10 bits": ("yuv420p10le", (6, 1)),
    "4:4:4, 12 bits, alpha": ("yuva444p12le", (1, 1)),
    "nv12": ("nv12", (6, 1)),
    "rgb": ("rgb24", (0, 2)),
    "rgb with alpha": ("bgra", (0, 2)),
    "planar rgb": ("gbrp", (0, 2)),
}


@pytest.mark.parametrize(("pixel_format", "tags"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("colour", [(200, 60, 40), (20, 90, 180), (128, 128, 128)])
def test_every_format_comes_out_as_bt709_limited(pixel_format, tags, colour):
    frame = colour_frame(pixel_format, colour, tags)
    (out,) = Normaliser(frame).push(frame)
    assert out.format.name == "yuv420p"
    assert (out.colorspace, out.color_range, out.color_primaries, out.color_trc) == (1, 1, 1, 1)
    found = [float(plane.mean()) for plane in plane_arrays(out)]
    assert found == pytest.approx(bt709(*colour), abs=1.6)


@pytest.mark.parametrize("pixel_format", ["gray", "gray10le", "ya8", "monob"])
def test_grey_gets_neutral_chroma(pixel_format):
    grey = av.VideoFrame.from_ndarray(np.full((48, 64), 255, np.uint8), format="gray")
    frame = grey.reformat(format=pixel_format)
    (out,) = Normaliser(frame).push(frame)
    assert [round(float(p.mean())) for p in plane_arrays(out)] == [235, 128, 128]


def test_grey_that_is_tagged_as_limited_is_taken_so():
    frame = av.VideoFrame.from_ndarray(np.full((48, 64), 235, np.uint8), format="gray")
    frame.color_range = 1
    (out,) = Normaliser(frame).push(frame)
    assert plane_arrays(out)[0].mean() == 235


@pytest.mark.parametrize(("size", "matrix"), [((640, 360), 6), ((1280, 544), 1), ((720, 1280), 1)])
def test_an_untagged_matrix_is_guessed_from_the_size(size, matrix):
    frame = colour_frame("yuv420p", (200, 60, 40), (matrix, 1), size)
    frame.colorspace = 2
    (out,) = Normaliser(frame).push(frame)
    found = [float(plane.mean()) for plane in plane_arrays(out)]
    assert found == pytest.approx(bt709(200, 60, 40), abs=1.6)


def test_ordinary_high_definition_passes_untouched():
    frame = colour_frame("yuv420p", (200, 60, 40), (1, 1), (1280, 720))
    (out,) = Normaliser(frame).push(frame)
    assert out is frame


def test_frames_of_another_size_are_scaled_to_the_first(make):
    first, second = (
        colour_frame("yuv420p", (50, 90, 120), (1, 1), s) for s in [(64, 48), (32, 24)]
    )
    normaliser = Normaliser(first)
    sizes = {(o.width, o.height) for f in (first, second) for o in normaliser.push(f)}
    assert sizes == {(64, 48)}


@pytest.mark.parametrize("matrix", [0, 3, 4, 7, 8, 9, 10, 13, 14, 15])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p10le"])
def test_no_matrix_that_a_stream_may_claim_is_too_odd(matrix, pixel_format):
    frame = colour_frame(pixel_format, (128, 128, 128), (1, 1))
    frame.colorspace = matrix
    (out,) = Normaliser(frame).push(frame)
    assert [float(p.mean()) for p in plane_arrays(out)] == pytest.approx([126, 128, 128], abs=1.5)
