"""The measures are right for painters whose values are known."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("cv2", reason="steadiness along videos needs the extra 'train'")

from shared.styles.gallery import Gallery
from training.evaluate import decibels
from training.features import CONVOLUTIONS, normalised
from training.plot import draw_curve
from training.runtime import painter
from training.speed import speed_table
from training.steadiness import Frames, along_video, under_noise, under_shift
from training.tables import markdown, with_table


def blotches(height: int = 96, width: int = 128) -> Frames:
    coarse = np.random.default_rng(0).integers(0, 256, (3, height // 16, width // 16))
    return np.kron(coarse, np.ones((16, 16))).astype(np.uint8)[None]


def keep(frame: Frames) -> Frames:
    """Paint nothing."""
    return frame


def weave(frame: Frames) -> Frames:
    """Paint the same dots over every picture, wherever it moves."""
    painted = frame.copy()
    painted[..., ::4, ::4] = 255 - painted[..., ::4, ::4]
    return painted


@pytest.fixture(scope="module")
def pan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video in which a picture moves by two pixels a frame."""
    file = tmp_path_factory.mktemp("video") / "pan.mp4"
    wide = blotches(96, 160)[0].transpose(1, 2, 0)
    smooth = (wide.astype(np.uint16) + np.roll(wide, 1, 0) + np.roll(wide, 1, 1)) // 3
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(5):
            part = np.ascontiguousarray(smooth[:, 2 * index : 2 * index + 128].astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, "rgb24")))
        container.mux(stream.encode(None))
    return file


def test_a_network_that_paints_nothing_changes_only_by_the_noise() -> None:
    # The mean of |x| of a normal distribution is 0.8 of its deviation, 4; some of it is clipped.
    assert 2.5 < under_noise(keep, blotches()) < 3.3


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_a_network_that_paints_nothing_does_not_crawl(pixels: int) -> None:
    assert under_shift(keep, blotches(192, 256), pixels, keep) == 0


def test_a_weave_of_four_pixels_crawls_at_every_shift_but_four() -> None:
    picture = blotches(192, 256)
    crawl = {pixels: under_shift(weave, picture, pixels, weave) for pixels in (1, 2, 4)}
    assert crawl[1] > 5
    assert crawl[2] > 5
    assert crawl[4] == 0


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_network_does_not_crawl_where_its_grid_follows(pixels: int) -> None:
    network = Gallery().find("starry-night").network("fp32")
    still, followed = painter(network), painter(network, canvas=(pixels, pixels))
    moved = painter(network, canvas=(pixels, pixels), grid=(pixels, pixels))
    picture = blotches(480, 512)
    assert under_shift(still, picture, pixels, followed) > 5
    # (Near its edges a picture is painted otherwise wherever it ends.)
    assert under_shift(still, picture, pixels, moved) < 1


def test_along_a_pan_a_weave_flickers_more_than_the_source(pan: Path) -> None:
    plain = along_video(keep, pan, frames=5, height=96)
    assert plain.painted == plain.source
    assert along_video(weave, pan, frames=5, height=96).painted > 2 * plain.source


def test_decibels_of_an_error_of_one_level_are_48() -> None:
    picture = np.full((1, 3, 4, 4), 7, np.uint8)
    assert decibels(picture, picture + 1) == pytest.approx(48.13, abs=0.01)


def test_a_table_replaces_the_one_between_its_marks_and_nothing_else() -> None:
    marks = "<!-- x: written by training.evaluate -->\n", "<!-- end of x -->\n"
    document = f"before\n{marks[0]}\nold\n{marks[1]}after\n"
    new = with_table(document, "x", markdown([("a", "b"), ("1", "2")]))
    assert new == f"before\n{marks[0]}\n| a | b |\n|---|---|\n| 1 | 2 |\n\n{marks[1]}after\n"
    assert with_table(new, "x", "old") == document


def test_speed_is_shown_at_every_size_and_number_of_threads_and_as_a_ratio() -> None:
    file = Gallery().styles["starry-night"].path
    table = speed_table(file, sizes=((32, 16), (256, 144)), rounds=3)
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.split("\n\n")[0].splitlines()]
    assert head[2:4] == ["32x16, 1 thread", "32x16, 2 threads"]
    reference, fp32 = ([float(cell) for cell in row[2:]] for row in rows[:2])
    assert reference[2] > 5 * fp32[2], "1.7 million weights, and no stride at its ends"
    assert fp32[2] > fp32[0]
    assert [float(cell) for cell in rows[2][2:]] == pytest.approx(
        [a / b for a, b in zip(reference, fp32, strict=True)], abs=1, rel=0.2
    )


def test_normalised_features_have_a_mean_of_one_in_every_channel_that_is_excited() -> None:
    chance = torch.Generator().manual_seed(0)
    sizes = zip(
        (0, 2, 5, 7, 10), ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256)), strict=True
    )
    trained = {}
    for layer, (inputs, outputs) in sizes:
        weight = torch.randn(outputs, inputs, 3, 3, generator=chance) / (9 * inputs) ** 0.5
        trained |= {
            f"features.{layer}.weight": weight,
            f"features.{layer}.bias": torch.zeros(outputs),
        }
    pictures = [torch.rand(3, 32, 32, generator=chance) for _ in range(2)]
    weights = normalised(trained, pictures)
    assert {name.partition(".")[0] for name in weights} == set(CONVOLUTIONS)
    seen = [
        torch.nn.functional.conv2d(
            picture[None], weights["conv1_1.weight"], weights["conv1_1.bias"], padding=1
        ).relu()
        for picture in pictures
    ]
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    excited = means[means > 0]
    torch.testing.assert_close(excited, torch.ones_like(excited))
    assert len(excited) > 32


def test_a_curve_is_drawn_with_a_line_for_every_loss(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "curve.png"
    draw_curve([{"step": s, "style": 9.0 - s, "content": 1.0 + s} for s in range(1, 8)], file)
    with Image.open(file) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors() or []}
    assert {(0x1F, 0x77, 0xB4), (0xD6, 0x27, 0x28)} <= colours
