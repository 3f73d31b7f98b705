"""Looking before painting: ``stylestream styles`` and ``preview``, in the tests' own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from command_lines import refused
from PIL import Image
from styles import hang, network, sha256
from videos import Video

from cli.contact_sheet import CAPTION, MARGIN
from cli.main import main
from shared.styles.gallery import Gallery


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bare_environment: None
) -> Run:
    """Run commands, with a folder of styles."""

    def run(*arguments: object, styles: Path) -> Ran:
        monkeypatch.setenv("STYLES_DIR", str(styles))
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in arguments])
        return Ran(int(ended.value.code or 0), *capsys.readouterr())

    return run


def cells(path: Path, width: int, height: int) -> list[np.ndarray]:
    """Cut a sheet into its pictures, empty cells left out."""
    sheet = np.asarray(Image.open(path)).astype(int)
    across, down = width + MARGIN, height + CAPTION + MARGIN
    assert (sheet.shape[0] - MARGIN) % down == (sheet.shape[1] - MARGIN) % across == 0
    found = [
        sheet[top : top + height, left : left + width]
        for top in range(MARGIN, sheet.shape[0] - down + 1, down)
        for left in range(MARGIN, sheet.shape[1] - across + 1, across)
    ]
    return [cell for cell in found if np.ptp(cell) > 10]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(Video(frames=30, size=(128, 96)).make())
    return path


def test_a_sheet_shows_the_source_and_every_style_each_different(
    run: Run, clip: Path, tmp_path: Path
) -> None:
    hang(tmp_path, "dark", network(0.4))
    hang(tmp_path, "darker", network(0.2))
    sheet = tmp_path / "sheet.png"
    ran = run("styles", "--sheet", clip, "--width", 96, "--at", "0.5", "-o", sheet, styles=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(sheet)
    pictures = cells(sheet, 96, 72)
    assert len(pictures) == len(Gallery(tmp_path).styles) + 1
    for index, one in enumerate(pictures):
        for other in pictures[index + 1 :]:
            assert np.abs(one - other).mean() > 3


@pytest.mark.parametrize("size", [(131, 97), (16, 16)])
def test_a_preview_shows_before_and_after_side_by_side(
    run: Run, tmp_path: Path, size: tuple[int, int]
) -> None:
    hang(tmp_path, "dark", network(0.5))
    photo, preview = tmp_path / "photo.png", tmp_path / "preview.png"
    Image.fromarray(np.random.default_rng(0).integers(90, 250, (*size[::-1], 3), np.uint8)).save(
        photo
    )
    wish = ("--style", "dark", "--strength", "0.5")
    ran = run("preview", photo, *wish, "-o", preview, styles=tmp_path)
    assert ran.code == 0, ran.err
    before, after = cells(preview, *(side + side % 2 for side in size))
    assert np.abs(after - before * 0.75).mean() < 3


def test_checking_names_every_fault_and_the_styles_that_are_in_order(
    run: Run, tmp_path: Path
) -> None:
    whole = network(0.5, "oak")
    hang(tmp_path, "whole", whole, trunk="oak", variants={"fp16": sha256(whole)})
    (tmp_path / "whole.fp16.onnx").write_bytes(whole)
    hang(tmp_path, "two-pictures", network(outputs=2))
    hang(tmp_path, "text", b"no network")
    ran = run("styles", "--check", styles=tmp_path)
    assert ran.code == 2
    assert "whole            in order: fp32, fp16" in ran.out
    told = ran.err.strip().splitlines()
    assert len(told) == 2
    assert "'text' is not a network that ONNX Runtime reads" in told[0]
    assert "'two-pictures': its network must have one output" in told[1]


@pytest.mark.parametrize("option", [(), ("--json",), ("--check",)])
def test_a_network_without_a_card_is_named_beside_the_list_of_styles(
    run: Run, tmp_path: Path, option: tuple[str, ...]
) -> None:
    hang(tmp_path, "whole", network(0.5))
    (tmp_path / "bare.onnx").write_bytes(network(0.5))
    ran = run("styles", *option, styles=tmp_path)
    assert ran.code == 0, ran.err
    assert "bare" not in ran.out
    (told,) = ran.err.strip().splitlines()
    assert told.startswith("stylestream: STYLES_DIR: bare.onnx has no card")


def test_programs_get_a_style_an_object_with_all_that_its_card_says(
    run: Run, tmp_path: Path
) -> None:
    hang(tmp_path, "whole", network(0.5, "oak"), trunk="oak", title="Whole")
    listed = [
        json.loads(line)
        for line in run("styles", "--json", styles=tmp_path).out.split("\n")
        if line
    ]
    (whole,) = [style for style in listed if style["name"] == "whole"]
    assert (whole["title"], whole["trunk"], whole["variants"]) == ("Whole", "oak", {})
    assert "starry-night" in {style["name"] for style in listed}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("preview", "{clip}", "--at", "99"), 1, ["there is no picture at 99 s"]),
        (
            ("preview", "{clip}", "--at", "-1"),
            2,
            ["must be a time in seconds, from 0 to 1000000, not '-1'"],
        ),
        (
            ("styles", "--sheet", "{clip}", "--width", "9"),
            2,
            ["must be a whole number from 64 to 4096, not '9'"],
        ),
        (
            ("preview", "gone.mp4", "--strength", "2", "--style", "a:x", "-o", "picture.jpg"),
            2,
            [
                "gone.mp4: no such file",
                "strength must be a number from 0 to 1, not '2'",
                "the weight of 'a' must be a number such as 0.6, not 'x'",
                "-o picture.jpg: the picture is a PNG, and its name must end in .png",
            ],
        ),
        (
            ("styles", "--sheet", "gone.mp4", "-o", "/nowhere/x.png"),
            2,
            ["gone.mp4: no such file", "-o /nowhere/x.png: there is no folder /nowhere"],
        ),
    ],
)
@pytest.mark.usefixtures("bare_environment")
def test_everything_that_cannot_be_shown_is_reported_at_once_in_a_sentence_each(
    capsys: pytest.CaptureFixture[str],
    clip: Path,
    arguments: tuple[str, ...],
    code: int,
    said: list[str],
) -> None:
    err = refused(capsys, *(word.format(clip=clip) for word in arguments), code=code)
    assert [sentence for sentence in said if sentence not in err] == []
