"""The logs of a stack, as they are and as they grow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.command_line import build_parser
from cli.commands import logs as module
from cli.commands.logs import logs, shown
from cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/splitter.log").write_text("one\ntwo\nthree\n")
    (tmp_path / "logs/stylizer-1.log").write_text("uno\n")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["logs", *map(str, words)])
    out, err = capsys.readouterr()
    assert ended.value.code == (2 if err else 0)
    return out or err


def test_the_last_lines_of_every_process_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "--dir", folder, "-n", "2") == (
        "splitter    two\nsplitter    three\nstylizer-1  uno\n"
    )
    assert told(capsys, "stylizer-1", "--dir", folder) == "stylizer-1  uno\n"


def test_a_missing_stack_or_log_is_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "painter", "--dir", folder)
    assert "there is no process 'painter'; there are: splitter, stylizer-1" in said
    assert "no stack has run in" in told(capsys, "--dir", tmp_path / "nowhere")


async def test_a_log_is_followed_by_whole_lines_even_after_it_was_replaced(folder: Path) -> None:
    log, told = folder / "logs/splitter.log", asyncio.Queue[str]()

    async def following() -> str:
        async with asyncio.timeout(60):
            return await told.get()

    async with shown(folder / "logs", told.put_nowait):
        with log.open("a") as file:
            file.write("four\nhalf a li")
        assert await following() == "splitter    four"
        with log.open("a") as file:
            file.write("ne\n")
        assert await following() == "splitter    half a line"
        log.write_text("anew\n")
        assert await following() == "splitter    anew"
        (folder / "logs/assembler.log").write_text("begun\n")
        assert await following() == "assembler   begun"
        with log.open("a") as file:
            file.write("last words\n")
    assert told.get_nowait() == "splitter    last words"
    assert told.empty()


async def test_a_process_that_starts_later_is_followed_as_well(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Queue[str]()
    monkeypatch.setattr(module, "_print", told.put_nowait)
    words = ["logs", "--follow", "-n", "1", "--dir", str(folder)]
    following = asyncio.create_task(logs(build_parser().parse_args(words)))
    async with asyncio.timeout(60):
        assert await told.get() == "splitter    three"
        assert await told.get() == "stylizer-1  uno"
        (folder / "logs/assembler.log").write_text("begun\n")
        assert await told.get() == "assembler   begun"
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_a_line_that_is_being_written_is_printed_once_and_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Queue[str]()
    monkeypatch.setattr(module, "_print", told.put_nowait)
    log = folder / "logs/stylizer-1.log"
    log.write_text("uno\nd")
    words = ["logs", "stylizer-1", "--follow", "--dir", str(folder)]
    following = asyncio.create_task(logs(build_parser().parse_args(words)))
    async with asyncio.timeout(60):
        assert await told.get() == "stylizer-1  uno"
        with log.open("a") as file:
            file.write("os\n")
        assert await told.get() == "stylizer-1  dos"
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
