"""The canvas follows the camera, and nothing else that moves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.manifest import Bars, Place
from splitter.media.camera import Camera, look
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split

HEIGHT, WIDTH = 180, 320
PIXEL = 4
"""Places are told in quarters of pixels."""


@cache
def scenery(seed: int) -> NDArray[np.uint8]:
    """Return a landscape of blotches, large and small, four times as fine as frames are."""
    chance = np.random.default_rng(seed)
    side = 2048
    total = np.zeros((side, side))
    for cell in (8, 32, 128):
        coarse = chance.normal(0, 30, (side // cell, side // cell))
        total += np.kron(coarse, np.ones((cell, cell)))
    return np.clip(128 + total, 0, 255).astype(np.uint8)


@cache
def haze(seed: int) -> NDArray[np.uint8]:
    """Return a landscape with a tenth of the contrast."""
    return (128 + (scenery(seed) - 128.0) / 10).astype(np.uint8)


def shoot(
    scene: NDArray[np.uint8],
    down: float,
    across: float,
    seed: int = 0,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> av.VideoFrame:
    """Return what a camera sees, with noise of two levels, of the scene from a place on."""
    height, width = size
    top, left = round(PIXEL * down) + 400, round(PIXEL * across) + 200
    part = scene[top : top + PIXEL * height, left : left + PIXEL * width].astype(float)
    grey = part.reshape(height, PIXEL, width, PIXEL).mean((1, 3))
    grey += np.random.default_rng(seed).normal(0, 2, grey.shape)
    pixels = np.clip(grey, 0, 255).round().astype(np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="gray").reformat(format="yuv420p")


def pan(speed: float, frames: int = 20) -> Iterator[av.VideoFrame]:
    scene = scenery(1)
    return (shoot(scene, speed * n / 2, speed * n, seed=n) for n in range(frames))


@pytest.mark.parametrize("speed", [0.5, 1, 2, 4, 7])
def test_the_canvas_moves_with_a_pan_to_within_half_a_pixel(speed: float) -> None:
    camera = Camera()
    places = [camera.follow(look(frame)) for frame in pan(speed)]
    assert places[0] == Place(0, 0)
    for number, place in enumerate(places[8:], 8):
        assert place.down == pytest.approx(PIXEL * speed * number / 2, abs=PIXEL / 2)
        assert place.across == pytest.approx(PIXEL * speed * number, abs=PIXEL / 2)


@pytest.mark.parametrize("speed", [-2.6, -0.7, 0.3, 0.7, 1.3, 2.6, 5.3])
def test_a_slow_or_fast_pan_over_a_hazy_scene_is_measured_to_a_quarter_of_a_pixel(
    speed: float,
) -> None:
    errors = []
    for seed in (1, 2, 3):
        # Given a scene whose finest detail is hardly above the noise
        scene, camera = haze(seed), Camera()
        # When the camera pans over it
        for number in range(12):
            down, across = speed * number / 2, speed * number
            place = camera.follow(look(shoot(scene, down, across, seed=number)))
            # Then each place is known as exactly as it is told
            errors += [abs(place.down - round(PIXEL * down)) / PIXEL]
            errors += [abs(place.across - round(PIXEL * across)) / PIXEL]
    assert max(errors) <= 0.25
    assert np.mean(errors) <= 0.05


@pytest.mark.parametrize("size", [(202, 346), (346, 202), (134, 338)])
def test_a_canvas_moves_as_well_where_a_part_of_the_picture_is_left_out(
    size: tuple[int, int],
) -> None:
    # Given sides of which a few columns and rows are not looked at, so that transforms are fast
    camera, scene = Camera(), scenery(1)
    assert look(shoot(scene, 0, 0, size=size)).sums.size < size[0] * size[1] // 4
    for number in range(12):
        place = camera.follow(look(shoot(scene, number, 2 * number, seed=number, size=size)))
    assert place.down == pytest.approx(PIXEL * number, abs=PIXEL / 2)
    assert place.across == pytest.approx(PIXEL * 2 * number, abs=PIXEL / 2)


def test_on_a_still_shot_nothing_moves_at_all() -> None:
    camera = Camera()
    assert {camera.follow(look(frame)) for frame in pan(0)} == {Place(0, 0)}


def test_somebody_who_crosses_the_picture_moves_no_canvas() -> None:
    scene, camera = scenery(2), Camera()
    body = np.random.default_rng(3).integers(0, 256, (80, 40), np.uint8)
    for number in range(20):
        frame = shoot(scene, 0, 0, seed=number)
        pixels = frame.to_ndarray(format="gray").copy()
        pixels[60:140, 8 * number : 8 * number + 40] = body
        assert camera.follow(look(av.VideoFrame.from_ndarray(pixels, format="gray"))) == Place(0, 0)


def test_somebody_in_front_of_a_plain_wall_moves_no_canvas() -> None:
    camera = Camera()
    body = np.kron(np.random.default_rng(4).integers(0, 256, (10, 5)), np.ones((8, 8)))
    for number in range(20):
        wall = np.full((HEIGHT, WIDTH), 190.0)
        # Who stands where she is, and sways.
        sway = round(4 * np.sin(number))
        wall[60:140, 100 + sway : 140 + sway] = body
        wall += np.random.default_rng(number).normal(0, 2, wall.shape)
        pixels = np.clip(wall, 0, 255).astype(np.uint8)
        place = camera.follow(look(av.VideoFrame.from_ndarray(pixels, format="gray")))
        assert max(map(abs, place)) <= 4 * PIXEL, "it must not drift away"


def test_a_car_on_a_plain_road_moves_no_canvas() -> None:
    # Given a road with little to be seen, and a car that is most of what there is
    camera, chance = Camera(), np.random.default_rng(5)
    road = 90 + chance.normal(0, 6, (HEIGHT // 4, WIDTH // 4)).repeat(4, 0).repeat(4, 1)
    car = chance.integers(0, 256, (9, 7), np.uint8).repeat(8, 0).repeat(8, 1)
    for number in range(20):
        picture = road.copy()
        picture[90 : 90 + 72, 9 * number : 9 * number + 56] = car
        picture += np.random.default_rng(number).normal(0, 1, picture.shape)
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        # When it crosses the picture
        place = camera.follow(look(av.VideoFrame.from_ndarray(pixels, format="gray")))
        # Then the road's strokes stay where they are
        assert place == Place(0, 0)


def texture(seed: int, height: int, width: int) -> NDArray[np.float64]:
    """Return blotches, large and small."""
    chance = np.random.default_rng(seed)
    total = np.full((height, width), 128.0)
    for cell in (4, 16):
        rows, columns = -(-height // cell), -(-width // cell)
        coarse = np.kron(chance.normal(0, 30, (rows, columns)), np.ones((cell, cell)))
        total += coarse[:height, :width]
    return total.clip(0, 255)


def film(picture: NDArray[np.float64], number: int) -> av.VideoFrame:
    """Return a frame that shows a picture with noise of two levels."""
    noisy = picture + np.random.default_rng(number).normal(0, 2, picture.shape)
    return av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="gray")


@pytest.mark.parametrize(
    ("height", "width"), [(90, 100), (144, 120), (162, 130)], ids=["16 %", "30 %", "37 %"]
)
def test_a_large_object_that_crosses_a_plain_wall_moves_no_canvas(height: int, width: int) -> None:
    # Given a wall with nothing to be seen on it, and an object that fills much of the picture
    camera, body, top = Camera(), texture(1, height, width), (HEIGHT - height) // 2
    for number in range((WIDTH + width) // 4):
        wide = np.full((HEIGHT, WIDTH + 2 * width), 110.0)
        wide[top : top + height, 4 * number : 4 * number + width] = body
        # When it comes in on one side, crosses the picture and leaves on the other
        place = camera.follow(look(film(wide[:, width:-width], number)))
        # Then the wall's strokes stay where they are
        assert place == Place(0, 0)


def test_a_bright_car_that_changes_the_exposure_moves_no_canvas() -> None:
    # Given a road that is shaded from top to bottom, with fine grain
    camera, car = Camera(), np.clip(texture(2, 100, 60) + 80, 0, 255)
    grain = np.random.default_rng(3).normal(0, 4, (HEIGHT // 4, WIDTH // 4))
    road = grain.repeat(4, 0).repeat(4, 1) + np.linspace(150, 100, HEIGHT)[:, None]
    for number in range(36):
        tall = np.concatenate((road, road))
        bottom = 5 * number
        # When a bright car drives in, and the brighter it gets, the darker the camera makes it all
        tall[HEIGHT - bottom : HEIGHT - bottom + 100, 130:190] = car
        picture = tall[:HEIGHT] - 40 * min(1, bottom / 100)
        # Then the road's strokes stay where they are
        assert camera.follow(look(film(picture, number))) == Place(0, 0)


def test_a_train_from_end_to_end_moves_no_canvas_if_most_of_the_picture_stays() -> None:
    # Given a fence, and a train that passes it in the lower part of the picture
    camera, train = Camera(), texture(5, 50, WIDTH + 100)
    fence = 110 + 40 * np.sin(np.arange(WIDTH) * 2 * np.pi / 40) * np.ones((HEIGHT, 1))
    for number in range(20):
        picture = fence.copy()
        picture[110:160] = train[:, 4 * number : 4 * number + WIDTH]
        # Then the strokes on what stays stay, too
        assert camera.follow(look(film(picture, number))) == Place(0, 0)


@pytest.mark.parametrize(("down", "across"), [(0, 4), (2, 0), (1, 3)])
def test_a_pan_over_a_landscape_below_a_clear_sky_is_followed(down: int, across: int) -> None:
    # Given a landscape in the lower half, and nothing to be seen in the upper one
    camera, land = Camera(), texture(4, HEIGHT + 100, WIDTH + 100)
    for number in range(20):
        scene = np.full((HEIGHT + 100, WIDTH + 100), 170.0)
        scene[HEIGHT // 2 + 30 :] = land[HEIGHT // 2 + 30 :]
        top, left = down * number, across * number
        place = camera.follow(look(film(scene[top : top + HEIGHT, left : left + WIDTH], number)))
    assert place.down == pytest.approx(PIXEL * down * number, abs=PIXEL)
    assert place.across == pytest.approx(PIXEL * across * number, abs=PIXEL)


@pytest.mark.parametrize(
    ("size", "block"),
    [((90, 160), 1), ((180, 320), 2), ((270, 480), 3), ((480, 800), 5), ((720, 1280), 8)],
)
def test_of_each_block_two_lines_are_summed(size: tuple[int, int], block: int) -> None:
    # Given a frame of noise
    pixels = np.random.default_rng(6).integers(0, 256, size, np.uint8)
    # When it is looked at
    sight = look(av.VideoFrame.from_ndarray(pixels, format="gray"))
    # Then each sum is that of a block's first line and of the one half a block below
    rows, columns = size[0] // block, size[1] // block
    lines = pixels.reshape(rows, block, columns, block)[:, :: (block + 1) // 2]
    assert sight.block == block
    assert (sight.sums == lines.sum((1, 3), dtype=int)).all()


def test_a_cut_starts_from_zero() -> None:
    camera = Camera()
    for frame in pan(4):
        moved = camera.follow(look(frame))
    assert moved != Place(0, 0)
    assert not camera.cut
    assert camera.follow(look(shoot(scenery(9), 0, 0))) == Place(0, 0)
    assert camera.cut


@pytest.mark.parametrize("size", [(2, 2), (2, 640), (640, 2), (16, 16), (1920, 1080)])
def test_a_picture_may_have_any_size(size: tuple[int, int]) -> None:
    camera = Camera()
    for level in (0, 90, 255):
        pixels = np.full((size[1], size[0]), level, np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="gray").reformat(format="yuv420p")
        assert camera.follow(look(frame)) == Place(0, 0)


def test_chunks_hold_the_places_of_their_frames_and_continue_where_the_last_one_ended(
    tmp_path: Path,
) -> None:
    # Given a camera that pans for eight frames, then stands still for eight
    file = tmp_path / "pan.mp4"
    scene = scenery(1)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(16):
            container.mux(stream.encode(shoot(scene, 0, 4 * min(number, 8))))
        container.mux(stream.encode(None))
    # When it is split into chunks of four frames
    options = SplitOptions(chunk_frames=4, first_chunk_frames=4)
    with file.open("rb") as source:
        events = list(split(source, options, tmp_path / "side"))
    chunks = [event.chunk for event in events if isinstance(event, EncodedChunk)]
    # Then the first two move, the third stops, and the last is still and says so once
    assert [len(chunk.canvas) for chunk in chunks][:2] == [4, 4]
    assert len(chunks[3].canvas) == len(chunks[3].grid) == 1
    assert chunks[1].canvas[0].across == pytest.approx(4 * 4 * PIXEL, abs=PIXEL)
    assert chunks[3].canvas[0].across == pytest.approx(8 * 4 * PIXEL, abs=PIXEL)
    # And so does the grid, which counts whole pixels
    assert [chunk.grid[0].across for chunk in chunks[:2]] == [0, 16]
    assert chunks[3].grid[0].across == 32


def test_black_bars_that_stand_still_do_not_hold_the_canvas() -> None:
    camera, bars = Camera(), Bars(top=24, bottom=24)
    for frame in pan(4):
        pixels = frame.to_ndarray(format="gray").copy()
        pixels[:24] = pixels[-24:] = 16
        place = camera.follow(look(av.VideoFrame.from_ndarray(pixels, format="gray"), bars))
    assert place.across == pytest.approx(PIXEL * 4 * 19, abs=PIXEL / 2)
