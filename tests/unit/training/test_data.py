"""The same seed gives the same crops, and an unusable folder is refused by name."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from shared.contracts.errors import ConfigurationError
from tests.unit.training.conftest import draw
from training.data import MOST_PICTURES, Crops, choose, pictures_in, read_picture, seeded


def test_the_same_seed_cuts_the_same_crops_in_any_order(photos: Path) -> None:
    paths = pictures_in(photos)
    one, other = (Crops(paths, size=64, seed=5) for _ in range(2))
    forward = [one[index] for index in range(8)]
    backward = [other[index] for index in reversed(range(8))]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_another_seed_cuts_other_crops(photos: Path) -> None:
    paths = pictures_in(photos)
    assert not torch.equal(Crops(paths, size=64, seed=1)[0], Crops(paths, size=64, seed=2)[0])


def test_a_crop_larger_than_the_photograph_is_cut_from_an_enlarged_one(photos: Path) -> None:
    crop = Crops(pictures_in(photos), size=300, seed=0)[0]
    assert crop.shape == (3, 300, 300)
    assert 0 <= crop.min() < crop.max() <= 1


def test_one_crop_of_eight_is_as_flat_as_a_wall(photos: Path) -> None:
    crops = Crops(pictures_in(photos), size=64, seed=0)
    steps = [
        float((crop[:, 1:] - crop[:, :-1]).abs().max())
        for crop in map(crops.__getitem__, range(80))
    ]
    flat = [step for step in steps if step < 0.04]
    assert 4 <= len(flat) <= 18
    assert min(step for step in steps if step >= 0.04) > 2 * max(flat), "there is nothing between"


def test_the_short_side_of_a_picture_is_scaled_and_its_shape_is_kept(photos: Path) -> None:
    assert read_picture(photos / "0.png", 80).shape == (3, 80, 100)


def test_a_folder_without_pictures_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path} holds no pictures"):
        pictures_in(tmp_path)


def test_what_a_system_keeps_beside_pictures_is_not_one_of_them(tmp_path: Path) -> None:
    for name in ("._beach.jpg", ".thumbnails/beach.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    draw(0, 80, 80).save(tmp_path / "beach.jpg")
    assert pictures_in(tmp_path) == [tmp_path / "beach.jpg"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("text.jpg", "not a picture that can be read"),
        ("icon.png", "32x32 pixels, too few"),
        ("cut-short.jpg", "not a picture that can be read: .*truncated"),
        ("folder.jpg", "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_trained_with_is_left_out(
    photos: Path, tmp_path: Path, name: str, problem: str
) -> None:
    file = tmp_path / name
    if name == "text.jpg":
        file.write_text("not a picture")
    elif name == "folder.jpg":
        file.mkdir()
    else:
        side = 32 if name == "icon.png" else 100
        draw(0, side, side).save(file)
    if name == "cut-short.jpg":
        file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(ConfigurationError, match=rf"{name}.*{problem}"):
        read_picture(file)
    told: list[str] = []
    whole = pictures_in(photos)
    assert choose([file, *whole], told.append) == whole
    assert [name in sentence for sentence in told] == [True, False, False, False]
    with pytest.raises(ConfigurationError, match=f"no picture can be used: .*{name}"):
        choose([file], told.append)


def test_of_thousands_of_pictures_some_hundreds_from_everywhere_are_chosen(photos: Path) -> None:
    many = [photos / f"{number % 3}.png" for number in range(1100)]
    chosen = choose(many, lambda _: None)
    assert 300 < len(chosen) <= MOST_PICTURES
    assert chosen == many[::3]


def test_chance_repeats_and_differs_from_step_to_step() -> None:
    draws = [torch.rand((), generator=seeded(0, step)).item() for step in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
