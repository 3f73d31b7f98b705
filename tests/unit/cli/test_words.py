"""The words of a command line: where options may stand, and what a wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_lines import refused

from cli.command_line import build_parser
from local.defaults import SAMPLE

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_options_may_stand_anywhere() -> None:
    parse = build_parser().parse_args
    spread = parse(["run", "a.mp4", "--style", "udnie", "b.mp4", "--json", "c.mp4"])
    assert spread == parse(["run", "--style", "udnie", "--json", "a.mp4", "b.mp4", "c.mp4"])
    assert parse(["link", "upload", "--hours", "2", "x.mp4"]).name == "x.mp4"
    dashed = parse(["run", "--json", "--", "-dash.mp4"])
    assert [Path(video) for video in dashed.videos] == [Path("-dash.mp4")]


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        ("run --force --skip-existing", "--skip-existing", "-f/--force"),
        ("status --watch --json", "--json", "-w/--watch"),
        ("dead-letters --redrive all --json", "--json", "--redrive"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    capsys: pytest.CaptureFixture[str], words: str, first: str, second: str
) -> None:
    said = refused(capsys, *words.split())
    assert f"stylestream: {first} is not allowed with {second}\n" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("runn clip.mp4", "'runn' is not a command; did you mean 'run'?"),
        ("frobnicate", "'frobnicate' is not a command: choose from run, up, "),
        ("link dowload x", "'dowload' is not a command; did you mean 'download'?"),
        ("run --styel udnie", "'--styel' is not an option; did you mean '--style'?"),
        ("run --stylizer=2", "'--stylizer' is not an option; did you mean '--stylizers'?"),
        ("status a b", "'b' is one argument too many"),
        ("--bogus", "'--bogus' is not an option"),
        ("preview --styel udnie", "'--styel' is not an option; did you mean '--style'?"),
        ("preview", "VIDEO is missing"),
        ("train", "--style, -o/--output are missing"),
        ("preview x.mp4 --loop", "--loop needs a value: --loop SECONDS"),
        ("run --engine", "--engine needs a value: --engine {auto,cpu,cuda,tensorrt}"),
        ("up --dir", "--dir needs a value: --dir DIR"),
        ("run -o", "-o/--output needs a value: --output OUTPUT"),
        ("dead-letters --redrive", "--redrive needs a value: --redrive NAME"),
        ("preview x.mp4 --loop x", "--loop must be a number of seconds up to 10, not 'x'"),
        ("run --engine gpu", "--engine must be auto, cpu, cuda or tensorrt, not 'gpu'"),
        ("completion fish", "shell must be bash, zsh or tcsh, not 'fish'"),
        ("status --json=x", "--json takes no value, not 'x'"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert said in refused(capsys, *words.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("styles --loop 1", "--loop needs --sheet"),
        ("styles --check -o x.png", "-o/--output needs --sheet"),
        ("styles --json --width 80 --at 0 --force", "-f/--force needs --sheet\n"),
        ("status 012345678901234567890123 --state done", "--state is for lists of jobs"),
        ("status 012345678901234567890123 -n 3", "-n/--limit is for lists of jobs"),
        ("preview x.mp4 --start 3", "--start has no effect here: use --at and --loop\n"),
        ("preview x.mp4 --duration 3", "--duration has no effect here: use --at and --loop\n"),
        ("preview x.mp4 --quality 80", "--quality has no effect on a preview\n"),
        ("preview --codec av1 x.mp4", "--codec has no effect on a preview\n"),
        ("preview x.mp4 --max-frames 3", "--max-frames has no effect on a preview\n"),
        ("submit x.mp4 --strict", "--strict needs --wait\n"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert said in refused(capsys, *words.split())


def test_a_request_is_refused_in_the_words_of_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "run", SAMPLE, "--max-side", "0", "--max-frames", "x", "--start", "soon")
    for sentence in (
        "--max-side must be a whole number from 16 to 16384, not '0'",
        "--max-frames must be a whole number from 1 to",
        "--start must be seconds or [HOURS:]MINUTES:SECONDS, not 'soon'",
    ):
        assert sentence in said


def test_a_file_that_begins_with_a_dash_is_told_from_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "-dash.mp4").touch()
    said = refused(capsys, "preview", "-dash.mp4")
    assert "'-dash.mp4' is not an option; for the file of this name, write ./-dash.mp4\n" in said
