"""Whatever users type: an exit code and a sentence, never a traceback, never silence."""

from __future__ import annotations

import functools
import os
import random
from pathlib import Path

import pytest

from bench import inference
from cli import main as command
from cli.command_line import build_parser
from cli.commands import catalogue, common, completion, run, submit, training
from local import defaults
from local.stack import Stack
from shared.contracts.errors import StylestreamError
from stylizer.painting import checks
from stylizer.painting.engine import OnnxEngine

LINES = 500
COMMANDS = (
    *("run", "run", "up", "submit", "status", "fetch", "cancel", "link upload", "link download"),
    *("dead-letters", "styles", "preview", "train", "config", "bench", "chaos", "completion"),
    *("logs", "open", "rm", "link", "runn", "", "--help", "--version", "-"),
)
OPTIONS = (
    *("--style", "--strength", "--max-side", "--preserve-color", "-o", "--output", "--dir"),
    *("--stylizers", "--json", "--force", "--skip-existing", "--strict", "-q", "--wait", "--at"),
    *("--hours", "--redrive", "--sheet", "--check", "--width", "--frames", "--markdown"),
    *("--minutes", "--seed", "--report", "--steps", "--content", "--", "-h", "--nope", "-x"),
)
VALUES = (
    *("clip.mp4", "folder", "empty", "notes.txt", "nowhere.mp4", "clip.starry-night.mp4"),
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "-",
        "--",
        "-1",
        "0",
        "1",
        "0.5",
        "1e400",
        "nan",
        "9" * 40,
        "½",
        "٣",
    ),
    *("udnie", "udnie:0.5,the-scream", "udnie:x", "a:b:c", ",", "UDNIE", "starrynight", "../udnie"),
    *("0" * 24, "0" * 23, "job", "all", "bash", "fish", "splitter", "localhost"),
    *(
        "a\\b.mp4",
        "a\nb.mp4",
        "[bold].mp4",
        "%s%n{0}",
        "$(x)",
        "日本語" * 80,
        "x" * 300,
        "x/" * 3000,
    ),
    *(
        "\udcff.mp4",
        "https://example.org/v.mp4",
        "file:///etc/passwd",
        "/dev/null",
        "/proc/self/mem",
    ),
)


@pytest.fixture(autouse=True)
def nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command go to where it would start processes or measure for minutes."""

    async def start(_stack: Stack) -> None:
        raise StylestreamError("nothing is started here")

    def measure(*_words: object, **_more: object) -> float:
        raise StylestreamError("nothing is painted or measured here")

    for name in os.environ:
        if name.startswith(("STORAGE_", "MEDIA_", "EVENTHUB_", "STYLES_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(Stack, "__aenter__", start)
    monkeypatch.setattr(inference, "measure", measure)
    monkeypatch.setattr(OnnxEngine, "__init__", measure)
    monkeypatch.setattr(checks, "find_faults", measure)
    # Most of the time would go into making the same parser again.
    monkeypatch.setattr(command, "build_parser", functools.cache(build_parser))
    once = functools.cache(defaults.gallery)
    for module in (catalogue, common, completion, run, submit, training):
        monkeypatch.setattr(module, "gallery", once)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    for name in ("clip.mp4", "folder/a.mp4"):
        (tmp_path / name).write_bytes(defaults.SAMPLE.read_bytes())
    (tmp_path / "notes.txt").write_text("dear diary")


def line(chance: random.Random) -> list[str]:
    """Make up a command line: often nearly right, never twice the same."""
    words = chance.choice(COMMANDS).split()
    for _ in range(chance.randrange(5)):
        words.append(chance.choice(OPTIONS if chance.random() < 0.4 else VALUES))
    return words


def test_whatever_is_typed_there_is_an_exit_code_and_a_sentence(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    chance = random.Random(20)
    for _ in range(LINES):
        words = line(chance)
        with pytest.raises(SystemExit) as ended:
            command.main(words)
        told = capsysbinary.readouterr()
        assert ended.value.code in {0, 1, 2}, words
        if ended.value.code:
            assert told.err.strip(), words
        assert b"Traceback" not in told.err, words
