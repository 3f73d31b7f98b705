"""The commands in README and docs: each runs, in order, or its page says what it needs.

A block of commands follows a comment: ``<!-- run -->`` (in a folder with ``my-video.mp4`` and
``holiday/``, while a stack is up), or ``<!-- needs ... -->``, whose `stylestream` commands are only
parsed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from videos import Sound, Video

from cli.command_line import build_parser

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?:sh|bash)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUN = "run"


@dataclass(frozen=True)
class Block:
    """Commands of a page, and what its comment says about them."""

    page: Path
    line: int
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    return [
        Block(page, text[: found.start()].count("\n") + 1, found["mark"] or "", found["text"])
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in BLOCK.finditer(text)
    ]


PAGES_THAT_RUN = list(dict.fromkeys(block.page for block in blocks() if block.mark == RUN))


def test_every_block_of_commands_says_whether_it_is_run() -> None:
    unmarked = [
        str(block)
        for block in blocks()
        if block.mark != RUN and not block.mark.startswith("needs ")
    ]
    assert unmarked == []


def test_commands_that_are_not_run_exist_with_their_options() -> None:
    for block in blocks():
        for line in block.text.replace("\\\n", " ").splitlines():
            for command in re.findall(r"(?:^|/|\(|=true )stylestream ([a-z].*)", line):
                words = shlex.split(command.rstrip(")"), comments=True)
                try:
                    build_parser().parse_args(words)
                except SystemExit as ended:
                    pytest.fail(f"{block}: stylestream {command}: {ended}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has: a video, and a folder of them."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "holiday").mkdir()
    video = Video(frames=22, size=(128, 96), sounds=[Sound()]).make()
    for name in ("my-video.mp4", "holiday/beach.mp4", "holiday/boat.mp4"):
        (folder / name).write_bytes(video)
    return folder


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(900)
async def test_the_commands_of_each_page_work_in_order(pipeline, folder: Path) -> None:
    """The pages are read at the same time, by as many people in one folder."""
    home = folder / "home"
    home.mkdir()
    (home / "stylestream").symlink_to(pipeline.stack.options.directory)
    assert PAGES_THAT_RUN
    async with asyncio.TaskGroup() as readers:
        for page in PAGES_THAT_RUN:
            readers.create_task(read(page, folder, home))


async def read(page: Path, folder: Path, home: Path) -> None:
    for block in blocks():
        if block.page == page and block.mark == RUN:
            await run(block, folder, home)


async def run(block: Block, folder: Path, home: Path) -> None:
    """Run a block in a shell that ends at the first command that fails."""
    ours = str(Path(sys.executable).parent)
    settings = {k: v for k, v in os.environ.items() if not k.startswith(("STORAGE_", "EVENTHUB_"))}
    settings |= {"PATH": f"{ours}:{os.environ['PATH']}", "XDG_STATE_HOME": str(home)}
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", block.text),
        cwd=folder,
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await shell.communicate()
    assert shell.returncode == 0, f"{block}\n{out.decode()}"
