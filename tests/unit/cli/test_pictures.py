"""Pictures for sheets and previews: the right moment of the right file, or a sentence."""

from __future__ import annotations

import asyncio
import struct
import threading
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from styles import hang, network
from videos import Video, number_of, number_picture

from cli.command_line import build_parser
from cli.commands.preview import preview
from cli.contact_sheet import CAPTION, MARGIN, draw_sheet
from cli.loop import paint_loop, save_loop
from cli.pictures import read_picture
from shared.contracts.errors import StylestreamError
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import Gallery
from stylizer.painting.engine import OnnxEngine

STEP = Fraction(1001, 30000)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def photo(path: Path, size: tuple[int, int], number: int = 5, **options: object) -> Path:
    grey = number_picture(number, *size) if min(size) > 8 else np.zeros(size[::-1], np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path, **options)
    return path


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts", "avi"])
@pytest.mark.parametrize("frame", [0, 1, 25, 39])
def test_the_picture_at_a_time_is_the_one_a_player_shows(
    tmp_path: Path, form: str, frame: int
) -> None:
    codec, options = (
        ("mpeg4", {"g": "12"}) if form == "avi" else ("libx264", {"g": "12", "bf": "2"})
    )
    base = Fraction(1001, 30000) if form == "avi" else Fraction(1, 30000)
    pts = list(range(40)) if form == "avi" else None
    video = Video(
        frames=40,
        size=(128, 96),
        format=form,
        codec=codec,
        options=options,
        time_base=base,
        pts=pts,
    )
    path = write(tmp_path / "clip", video.make())
    picture, at = read_picture(path, at=frame * STEP + STEP / 2)
    assert number_of(picture) == frame
    assert abs(at - frame * STEP) < Fraction(1, 1000)  # (Matroska counts milliseconds)
    assert (picture.width, picture.height) == (128, 96)


def test_without_a_time_it_is_a_picture_from_within_the_video(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", Video(frames=60, size=(128, 96)).make())
    assert 18 <= number_of(read_picture(path).frame) <= 21


def test_a_time_after_the_end_is_refused_with_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", Video(frames=30, size=(128, 96)).make())
    with pytest.raises(StylestreamError, match=r"clip\.mp4: there is no picture at 9 s.*1\.001 s"):
        read_picture(path, at=Fraction(9))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff"])
def test_a_photo_is_a_picture_too(tmp_path: Path, ending: str) -> None:
    picture = read_picture(photo(tmp_path / f"photo.{ending}", (128, 96), 77)).frame
    assert number_of(picture) == 77
    assert picture.format.name == "yuv420p"


@pytest.mark.parametrize(
    ("wish", "option"), [({"at": Fraction(0)}, "--at"), ({"moving": True}, "--loop")]
)
def test_a_photo_has_no_times(tmp_path: Path, wish: dict[str, Any], option: str) -> None:
    path = photo(tmp_path / "photo.jpg", (128, 96))
    said = rf"photo\.jpg is a photo, which shows one moment: leave out {option}$"
    with pytest.raises(StylestreamError, match=said):
        read_picture(path, **wish)


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    turned = Image.fromarray(np.rot90(number_picture(9, 128, 96)))
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned by 90 degrees clockwise
    turned.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    picture = read_picture(tmp_path / "photo.jpg", width=64).frame
    assert (picture.width, picture.height) == (64, 48)
    assert number_of(picture) == 9


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [
        ((640, 360), 320, (320, 180)),
        ((360, 640), 180, (180, 320)),
        ((101, 77), None, (102, 78)),
        ((64, 48), 480, (64, 48)),
        ((16, 16), None, (16, 16)),
    ],
)
def test_pictures_are_scaled_down_to_a_width_and_never_up(
    tmp_path: Path, size: tuple[int, int], width: int | None, expected: tuple[int, int]
) -> None:
    picture = read_picture(photo(tmp_path / "photo.png", size), width=width).frame
    assert (picture.width, picture.height) == expected


@pytest.mark.parametrize("size", [(1, 1), (15, 64), (64, 15)])
def test_a_picture_that_is_too_small_for_a_style_is_refused(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    with pytest.raises(StylestreamError, match=r"photo\.png: .* too small .* 16 pixels a side"):
        read_picture(photo(tmp_path / "photo.png", size))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_not_a_picture_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StylestreamError, match=r"thing\.png: "):
        read_picture(write(tmp_path / "thing.png", content))
    with pytest.raises(StylestreamError, match=r"gone\.png: No such file"):
        read_picture(tmp_path / "gone.png")


def test_a_photo_that_claims_to_be_enormous_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = photo(tmp_path / "photo.png", (64, 48))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(StylestreamError, match=r"photo\.png: .* at most \d+ pixels"):
        read_picture(write(path, data))


@pytest.mark.parametrize("kept", [0.3, 0.6])
def test_the_pictures_before_a_video_breaks_off_are_shown(tmp_path: Path, kept: float) -> None:
    whole = Video(frames=60, size=(128, 96), format="mpegts").make()
    path = write(tmp_path / "clip.ts", whole[: int(len(whole) * kept)])
    assert number_of(read_picture(path, at=5 * STEP).frame) == 5
    with pytest.raises(StylestreamError, match=r"no picture at 1\.9 s"):
        read_picture(path, at=Fraction(19, 10))


def flat(level: int, width: int = 64, height: int = 48) -> av.VideoFrame:
    grey = np.full((height, width), level, np.uint8)
    return av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")


@pytest.mark.parametrize(
    ("count", "columns", "grid"),
    [(1, None, (1, 1)), (5, None, (3, 2)), (9, None, (3, 3)), (2, 2, (2, 1))],
)
def test_a_sheet_shows_every_picture_in_its_cell_with_a_name_below(
    count: int, columns: int | None, grid: tuple[int, int]
) -> None:
    levels = [40 + 20 * index for index in range(count)]
    sheet = np.asarray(draw_sheet([("a-very-long-name" * 3, flat(v)) for v in levels], columns))
    across, down = 64 + MARGIN, 48 + CAPTION + MARGIN
    assert sheet.shape == (grid[1] * down + MARGIN, grid[0] * across + MARGIN, 3)
    seen = []
    for index in range(count):
        top, left = MARGIN + index // grid[0] * down, MARGIN + index % grid[0] * across
        cell = sheet[top : top + 48, left : left + 64].astype(int)
        assert np.ptp(cell) <= 2, "only the picture is in its cell"
        seen.append(int(cell.mean()))
        caption = sheet[top + 48 : top + 48 + CAPTION, left : left + 64].astype(int)
        assert np.ptp(caption) > 100, "the name is written"
        beside = sheet[top + 48 : top + 48 + CAPTION, left + 64 : left + 64 + MARGIN].astype(int)
        assert np.ptp(beside) < 30, "the name ends where its picture does"
    assert seen == sorted(seen)
    assert len(set(seen)) == count


def test_a_loop_shows_every_frame_of_its_part_at_its_time(tmp_path: Path) -> None:
    # Given a video, and a style over time that turns dark at half a second
    path = write(tmp_path / "clip.mp4", Video(frames=40, size=(128, 96)).make())
    hang(tmp_path, "bright", network(1.0, "oak"))
    hang(tmp_path, "dark", network(0.25, "oak"))
    styles = StyleRequest(style="bright@0,dark@0.5", fade=0.2, start=0.3, duration=0.6)
    # When a part of it is written as a loop
    sheets = paint_loop(path, [("styles", styles)], OnnxEngine(Gallery(tmp_path), "cpu"), 2)
    save_loop(sheets, tmp_path / "loop.webp")
    # Then it has the part's frames, each beside its painting
    with Image.open(tmp_path / "loop.webp") as loop:
        assert (loop.n_frames, loop.info["loop"]) == (18, 0)
        light = []
        for number in range(loop.n_frames):
            loop.seek(number)
            picture = np.asarray(loop.convert("RGB")).astype(float)
            across = 128 + 2 * MARGIN
            before, after = (
                picture[MARGIN:][:96, left:][:, :128].mean() for left in (MARGIN, across)
            )
            light.append(after / before)
            assert abs(loop.info["duration"] - 1001 / 30) < 1
    assert all(share > 0.95 for share in light[:6])
    assert light[6:13] == sorted(light[6:13], reverse=True)
    assert all(share < 0.4 for share in light[13:])


def test_a_photo_has_no_loop(tmp_path: Path) -> None:
    engine, asked = OnnxEngine(Gallery(), "cpu"), StyleRequest(style="udnie", duration=1)
    with pytest.raises(StylestreamError, match=r"photo\.png: The file is a PNG image"):
        list(paint_loop(photo(tmp_path / "photo.png", (64, 64)), [("x", asked)], engine, 2))


def test_a_preview_that_is_interrupted_stops_painting_and_keeps_the_picture_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a loop that would replace an earlier one, and a painter that waits at its first frame
    path = write(tmp_path / "clip.mp4", Video(frames=30, size=(128, 96)).make())
    output = write(tmp_path / "loop.webp", b"an earlier loop")
    begun, interrupted = threading.Event(), threading.Event()
    painted = []
    paint = OnnxEngine.paint

    def waiting(self: OnnxEngine, *given: Any, **more: Any) -> Any:
        painted.append(given)
        begun.set()
        assert interrupted.wait(60)
        return paint(self, *given, **more)

    monkeypatch.setattr(OnnxEngine, "paint", waiting)
    words = ["preview", str(path), "--at", "0", "--loop", "1", "-f", "-o", str(output)]

    # When Ctrl-C comes
    async def press() -> None:
        previewing = asyncio.create_task(preview(build_parser().parse_args(words)))
        assert await asyncio.to_thread(begun.wait, 60)
        previewing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await previewing
        interrupted.set()

    asyncio.run(press())  # which waits for the painter's thread

    # Then nothing more is painted, and nothing is replaced
    assert len(painted) == 1
    assert output.read_bytes() == b"an earlier loop"
    assert sorted(tmp_path.iterdir()) == [path, output]
    assert capsys.readouterr().out == ""
