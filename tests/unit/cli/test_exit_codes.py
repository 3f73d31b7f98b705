"""Commands that need no stack: their exit codes, and what they print where."""

from __future__ import annotations

from pathlib import Path

import pytest
from videos import Video

from cli.main import main

pytestmark = pytest.mark.usefixtures("bare_environment")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[object, str, str]:
    """Run a command in this process; return its exit code, and what it has printed."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    return ended.value.code, *capsys.readouterr()


def test_every_problem_of_a_command_line_is_named_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (clip := tmp_path / "a clip.mp4").write_bytes(Video(frames=2, size=(96, 64)).make())
    missing, nowhere = tmp_path / "no.mp4", tmp_path / "nowhere" / "x.mp4"
    code, out, err = run(capsys, "run", missing, clip, "--style", "nope", "-o", nowhere)
    assert (code, out) == (2, "")
    for fault in ("no.mp4", "'nope'", "several videos need a folder"):
        assert fault in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--stylizers", "0"), "1 to 32"),
        (("status", "not-a-job", "--dir", "/nonexistent"), "no stack runs in /nonexistent"),
        (("config",), "EVENTHUB_CONNECTION_STRING"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_the_remedy(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_styles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "styles")
    assert (code, err) == (0, "")
    assert "starry-night" in out


def test_settings_are_listed_without_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = "Endpoint=sb://x;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"
    monkeypatch.setenv("EVENTHUB_CONNECTION_STRING", hub)
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", "AccountName=a;AccountKey=c2VjcmV0")
    code, out, err = run(capsys, "config")
    assert code == 0, err
    assert "CHUNK_FRAMES=32" in out
    assert "c2VjcmV0" not in out + err
