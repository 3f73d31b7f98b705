"""Photos are read as they are meant to be seen, and what cannot be read is said."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from shared.media.photos import TooManyPixels, UnreadablePhoto, read_photo

PLENTY = 1_000_000


def corners(photo: Image.Image) -> list[tuple[int, ...]]:
    right, bottom = photo.width - 1, photo.height - 1
    return [photo.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))]  # type: ignore[misc]


def drawn(width: int = 48, height: int = 32) -> Image.Image:
    """A picture that is light at its left side, and dark at its right."""
    row = np.linspace(255, 0, width).astype(np.uint8)
    return Image.fromarray(np.tile(row, (height, 1)))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "P", "1", "I;16", "LA", "RGBA"])
def test_every_kind_of_pixels_looks_the_same(tmp_path: Path, mode: str) -> None:
    picture = drawn()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture, np.uint16) * 257)
    else:
        picture = picture.convert("RGB").convert(mode)
    picture.save(tmp_path / "photo.tif")
    read = read_photo(tmp_path / "photo.tif", most_pixels=PLENTY)
    assert (read.mode, read.size) == ("RGB", (48, 32))
    # Two colours, or a few, stand for all others.
    tolerance = {"1": 256, "P": 64}.get(mode, 8)
    difference = np.asarray(read, int)[..., 1] - np.asarray(drawn(), int)
    assert np.abs(difference).max() < tolerance
    light, dark = corners(read)[:2]
    assert min(light) > 247
    assert max(dark) < 8


def test_a_scan_of_16_bits_keeps_its_shades(tmp_path: Path) -> None:
    Image.fromarray(np.asarray(drawn(), np.uint16) * 257).save(tmp_path / "scan.png")
    read = read_photo(tmp_path / "scan.png", most_pixels=PLENTY)
    assert np.array_equal(np.asarray(read)[..., 0], np.asarray(drawn()))


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    picture.paste((200, 0, 0, 255), (10, 0, 20, 20))
    picture.save(tmp_path / "logo.png")
    read = read_photo(tmp_path / "logo.png", most_pixels=PLENTY)
    assert corners(read)[:2] == [(255, 255, 255), (200, 0, 0)]


def test_a_picture_taken_sideways_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turned by a quarter to the right when shown
    drawn().save(tmp_path / "photo.jpg", exif=exif)
    read = read_photo(tmp_path / "photo.jpg", most_pixels=PLENTY)
    assert read.size == (32, 48)
    light, _, dark, _ = corners(read)
    assert min(light) > 240
    assert max(dark) < 16


def test_a_cameras_damaged_notes_cost_no_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    drawn().save(tmp_path / "photo.jpg", exif=exif)
    data = (tmp_path / "photo.jpg").read_bytes()
    at = data.index(b"Exif") + 6
    (tmp_path / "photo.jpg").write_bytes(data[:at] + b"XX\xff\xff" + data[at + 4 :])
    assert read_photo(tmp_path / "photo.jpg", most_pixels=PLENTY).size == (48, 32)


def test_a_picture_with_more_pixels_than_allowed_is_refused_with_its_size(tmp_path: Path) -> None:
    drawn().save(tmp_path / "photo.png")
    with pytest.raises(TooManyPixels, match="48x32"):
        read_photo(tmp_path / "photo.png", most_pixels=48 * 32 - 1)


def test_a_museums_scan_is_decoded_at_a_fraction_of_its_size(tmp_path: Path) -> None:
    Image.new("L", (12_000, 8_000), 100).save(tmp_path / "scan.jpg")
    read = read_photo(tmp_path / "scan.jpg", most_pixels=10**9, least_side=800)
    assert read.size == (1500, 1000)
    assert corners(read) == [(100, 100, 100)] * 4


def test_whatever_is_wrong_with_a_file_it_is_unreadable(tmp_path: Path) -> None:
    chance = random.Random(5)
    whole = {}
    for ending in ("jpg", "png", "webp", "tif", "bmp"):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        drawn().convert("RGB").save(tmp_path / f"whole.{ending}", exif=exif)
        whole[ending] = (tmp_path / f"whole.{ending}").read_bytes()
    readable = 0
    for _ in range(300):
        data = bytearray(whole[chance.choice(list(whole))])
        for _ in range(chance.choice((1, 4, 16))):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(data)
        with contextlib.suppress(UnreadablePhoto):
            read_photo(tmp_path / "damaged", most_pixels=PLENTY)
            readable += 1
    assert 50 < readable < 250


def test_a_text_is_told_from_a_picture(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(UnreadablePhoto, match="none of PNG, JPEG, WEBP, BMP, TIFF"):
        read_photo(tmp_path / "text.jpg", most_pixels=PLENTY)
