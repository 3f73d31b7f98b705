"""What the command line refuses before it starts anything, each in a sentence with exit code 2."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_lines import refused
from PIL import Image

from cli.command_line import build_parser
from cli.commands import bench
from cli.main import main
from local.defaults import SAMPLE

COMMAND = Path(sys.executable).with_name("stylestream")
READ_ONLY = Path("/proc")
"""A folder that nobody can write into, whoever runs the tests."""

needs_read_only = pytest.mark.skipif(not READ_ONLY.is_dir(), reason="there is no /proc")

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize(
    ("videos", "output"),
    [
        (["clip.mp4"], "clip.mp4"),
        (["clip.mp4"], "link.mp4"),
        (["clip.mkv"], "clip.mp4"),
        (["clip.mp4"], "clip.mkv"),
        (["clip.mp4", "clip.starry-night.mp4"], "."),
    ],
)
def test_no_result_takes_the_place_of_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], videos: list[str], output: str
) -> None:
    for video in videos:
        shutil.copyfile(SAMPLE, tmp_path / video)
    (tmp_path / "link.mp4").symlink_to(videos[0])
    said = f"stylestream: -o {output}: this would overwrite the source {videos[-1]}\n"
    assert refused(capsys, "run", *videos, "-o", output) == said


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_result_that_exists_is_replaced_on_demand_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    shutil.copyfile(SAMPLE, "clip.mp4")
    (tmp_path / f"clip.udnie{ending}").touch()
    for output in (".", "clip.udnie.mp4"):
        said = refused(capsys, "run", "clip.mp4", "--style", "udnie", "-o", output)
        assert f"clip.udnie{ending} exists: --force replaces it, --skip-existing leaves" in said
    with pytest.raises(SystemExit) as ended:
        main(["run", "clip.mp4", "--style", "udnie", "--skip-existing"])
    assert ended.value.code == 0
    assert f"clip.udnie{ending} exists: skipped" in capsys.readouterr().err


def test_a_file_that_is_not_a_video_is_a_job_that_failed_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.mp4").write_text("dear diary " * 50)
    with pytest.raises(SystemExit) as ended:
        main(["run", "notes.mp4", "--json"])
    told = capsys.readouterr()
    assert ended.value.code == 1
    assert json.loads(told.out)["error"]["code"] == "NOT_A_VIDEO"
    assert told.err.startswith("stylestream: notes.mp4: failed: ")
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize("command", [("preview",), ("styles", "--sheet")])
def test_no_picture_takes_the_place_of_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photo)
    before = photo.read_bytes()
    said = refused(capsys, *command, photo, "-o", "photo.png")
    assert said == f"stylestream: -o photo.png: this would overwrite the source {photo}\n"
    assert photo.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("preview", SAMPLE, "--style", "udnie"), "sample.udnie.png"),
        (("styles", "--sheet", SAMPLE), "sample.styles.png"),
    ],
)
def test_a_picture_that_exists_stays_unless_it_is_to_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[object, ...], name: str
) -> None:
    (tmp_path / name).write_bytes(b"mine")
    assert refused(capsys, *command) == f"stylestream: {name} exists: --force replaces it\n"
    assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.parametrize("command", [("run", SAMPLE), ("fetch", "0" * 24)])
@pytest.mark.parametrize("output", ["x.png", "x"])
def test_a_result_is_not_named_what_it_is_not(
    capsys: pytest.CaptureFixture[str], command: tuple[object, ...], output: str
) -> None:
    said = refused(capsys, *command, "-o", output)
    assert said == (
        f"stylestream: -o {output}: a result is a video, and its name must end in .mp4 or .mkv; "
        "a new folder's, in a slash\n"
    )


@needs_read_only
@pytest.mark.parametrize(
    "command",
    [
        ("run", "-o", READ_ONLY / "x.mp4"),
        ("run", "-o", READ_ONLY),
        ("fetch", "0" * 24, "-o", READ_ONLY / "x.mp4"),
        ("bench", "--markdown", READ_ONLY / "x.md"),
        ("chaos", "--report", READ_ONLY / "x.md"),
        ("preview", SAMPLE, "-o", READ_ONLY / "x.png"),
    ],
)
def test_an_output_that_cannot_be_written_is_reported_before_hours_of_work(
    capsys: pytest.CaptureFixture[str], command: tuple[object, ...]
) -> None:
    assert f"{command[-1]}: cannot write into {READ_ONLY}: " in refused(capsys, *command)


@needs_read_only
def test_run_without_an_output_asks_whether_the_current_folder_takes_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(READ_ONLY)
    assert "the current folder: cannot write into /proc: " in refused(capsys, "run")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("bench", "--markdown", "."), "--markdown . is a folder"),
        (("chaos", "--report", "no/x.md"), "--report no/x.md: there is no folder"),
    ],
)
def test_a_report_needs_a_place(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], said: str
) -> None:
    assert said in refused(capsys, *command)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("bench", "--frames", "0"), "must be a whole number from 1 to 1000000, not '0'"),
        (
            ("bench", "--frames", "-3"),
            "--frames must be a whole number from 1 to 1000000, not '-3'",
        ),
        (("bench", "--style", "nope"), "there is no style 'nope'"),
        (("bench", "--stylizers", "33"), "from 1 to 32, not '33': chunks come in 32 partitions"),
        (("chaos", "--minutes", "-1"), "must be a number from 0, not '-1'"),
        (("chaos", "--minutes", "nan"), "must be a number from 0, not 'nan'"),
        (("chaos", "--minutes", "inf"), "must be a number from 0, not 'inf'"),
        (("preview", SAMPLE, "--at", "1e400"), "not '1e400'"),
        (("preview", SAMPLE, "--at", "1e999999999"), "not '1e999999999'"),
        (
            ("preview", SAMPLE, "--at", "9" * 30),
            "must be a time in seconds, from 0 to 1000000, not",
        ),
        (("preview", SAMPLE, "--at", "nan"), "not 'nan'"),
    ],
)
def test_numbers_and_names_that_mean_nothing_are_refused(
    capsys: pytest.CaptureFixture[str], command: tuple[object, ...], said: str
) -> None:
    assert said in refused(capsys, *command)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--steps", "-4", "must be a whole number from 1 to 1000000, not '-4'"),
        ("--style-size", "-1", "must be a whole number from 32 to 4096, not '-1'"),
        ("--content-weight", "nan", "must be a number from 0, not 'nan'"),
        ("--seed", "9" * 30, "must be a whole number from 0"),
    ],
)
def test_a_training_is_not_planned_with_nonsense(
    capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    given = ("train", "--style", "p.png", "--content", ".", "-o", "x.onnx")
    assert said in refused(capsys, *given, option, value)


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        (SAMPLE, f"{SAMPLE} cannot hold a stack: "),
        pytest.param(
            READ_ONLY / "x", f"{READ_ONLY / 'x'} cannot hold a stack: ", marks=needs_read_only
        ),
    ],
)
def test_a_stack_needs_a_folder(
    capsys: pytest.CaptureFixture[str], directory: Path, said: str
) -> None:
    assert said in refused(capsys, "up", "--dir", directory)


def test_no_stack_runs_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"no stack runs in {SAMPLE}" in refused(capsys, "status", "--dir", SAMPLE)


def test_dead_letters_name_all_the_variables_that_say_where_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "dead-letters")
    for variable in ("STORAGE_ACCOUNT_URL", "EVENTHUB_FULLY_QUALIFIED_NAMESPACE"):
        assert f" {variable}" in said
        assert f" MEDIA_{variable}" in said or not variable.startswith("STORAGE")


@pytest.mark.parametrize(
    ("command", "what"), [("styles", "style"), ("dead-letters", "letter"), ("status", "job")]
)
def test_help_says_of_what_there_is_one_json_object(
    capsys: pytest.CaptureFixture[str], command: str, what: str
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"one JSON object a {what} on stdout" in capsys.readouterr().out


def test_a_table_of_figures_names_the_command_that_measured_them() -> None:
    typed = "bench --frames 1200 --stylizers 2 --markdown docs/performance.md"
    assert bench._command(build_parser().parse_args(typed.split())) == f"stylestream {typed}"
    spaced = build_parser().parse_args(["bench", "--markdown", "my figures.md"])
    assert bench._command(spaced).endswith(" --markdown 'my figures.md'")


def test_a_benchmark_has_one_stylizer_unless_told_otherwise() -> None:
    assert build_parser().parse_args(["bench"]).stylizers == 1
    assert build_parser().parse_args(["bench", "--stylizers", "2"]).stylizers == 2


def test_the_version_and_the_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"stylestream \d+\.\d+.*\n", capsys.readouterr().out)
    assert "COMMAND" in refused(capsys)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_and_styles(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(subprocess.check_output([COMMAND, "completion", "bash"], text=True))

    def completed(*words: str) -> list[str]:
        typed = " ".join(f"'{word}'" for word in words)
        ask = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; "
        ask += '_shtab_stylestream; printf "%s\\n" "${COMPREPLY[@]}"'
        return subprocess.check_output(["bash", "-c", ask], text=True).split()

    assert completed("stylestream", "sta") == ["status"]
    assert "the-scream" in completed("stylestream", "run", "--style", "the-")
