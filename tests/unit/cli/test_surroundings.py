"""What a command finds around it: streams that are closed, folders that are gone, Ctrl-C early."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cli import main as command
from cli.commands.jobs import play
from cli.main import main
from local import azurite
from local.defaults import SAMPLE
from shared.contracts.errors import StylestreamError

ROOT = Path(__file__).resolve().parents[3]
FULL = "stylestream: cannot write to standard output: No space left on device\n"
COMMAND = Path(sys.executable).with_name("stylestream")

pytestmark = pytest.mark.usefixtures("bare_environment")


def in_shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line, COMMAND], capture_output=True, text=True, check=False, timeout=90
    )


@pytest.mark.parametrize(
    ("line", "code", "out", "said"),
    [
        ('"$0" styles >&-', 0, "", ""),
        ('"$0" styles <&- >&- 2>&-', 0, "", ""),
        ('"$0" run nowhere.mp4 >&-', 2, "", "stylestream: nowhere.mp4: no such file\n"),
        ('"$0" run nowhere.mp4 2>&-', 2, "", ""),
    ],
)
def test_a_command_needs_no_stream(line: str, code: int, out: str, said: str) -> None:
    ran = in_shell(line)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, out, said)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ('"$0" styles >/dev/full', 1, FULL),
        ('"$0" run nowhere.mp4 2>/dev/full', 2, ""),
    ],
)
def test_a_stream_to_a_full_disk_is_named_or_done_without(line: str, code: int, said: str) -> None:
    ran = in_shell(line)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", said)


def test_a_folder_that_is_gone_is_named_as_the_cause() -> None:
    for arguments in ("run", f"preview {SAMPLE}"):
        ran = in_shell(f'mkdir -p gone && cd gone && rmdir ../gone && "$0" {arguments}')
        assert ran.returncode == 2
        assert ran.stderr == "stylestream: the current folder no longer exists\n"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code, capsys.readouterr().err


def test_without_any_home_the_remedy_is_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    code, said = told(capsys, "status")
    assert code == 2
    assert said == "stylestream: this user has no home folder: set HOME\n"


def test_a_home_with_a_percent_sign_is_shown_in_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "50%d"))
    for words in (["status"], ["up"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        assert "50%d" in capsys.readouterr().out.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("module", ["pydantic", "cli.command_line", "cli.commands.run"])
def test_ctrl_c_while_modules_are_loaded_ends_without_a_traceback(
    module: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import os, signal, sys

class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Pressed())
"""
    )
    ran = in_shell(f'PYTHONPATH={tmp_path} "$0" run nowhere.mp4')
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "stylestream: interrupted\n")


def test_ctrl_c_while_the_command_line_is_read_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "build_parser", pressed)
    code, said = told(capsys, "status")
    assert code == 130
    assert said.startswith("stylestream: interrupted")


@pytest.mark.parametrize("received", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_ended_before_its_stack_starts_leaves_nothing(
    received: str, tmp_path: Path
) -> None:
    script = f"""
import asyncio, os, signal
from cli.main import main
from local.stack import Stack

async def start(stack):
    os.kill(os.getpid(), signal.{received})
    await asyncio.Event().wait()

signal.signal(signal.{received}, signal.SIG_DFL)  # also where the tests run under nohup
Stack.__aenter__ = start
main(["run", "--quiet"])
"""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert (ran.returncode, list(temporary.iterdir())) == (130, []), ran.stderr


def test_a_file_whose_name_could_colour_the_terminal_is_named_harmlessly(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, said = told(capsys, "run", "-o", f"{tmp_path}/\x1b[31m{'x' * 300}/")
    assert said.endswith(": File name too long\n")
    assert "\x1b" not in said


def test_an_answer_that_storage_would_not_give_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(501)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"no idea")

    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        connection = azurite.connection_string(server.server_port)
        monkeypatch.setenv("STORAGE_CONNECTION_STRING", connection)
        ran = in_shell('"$0" status')
        server.shutdown()
    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1, ran.stderr


def test_a_result_that_cannot_be_opened_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program(tmp_path / "bin/xdg-open", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    code, said = told(capsys, "open", "0" * 24)
    assert code == 2
    assert "no stack runs in" in said
    assert list(temporary.iterdir()) == []


async def test_a_player_that_does_not_open_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    opener = program(tmp_path / "bin/xdg-open", "exit 3")
    video = tmp_path / "clip.mp4"
    with pytest.raises(StylestreamError, match=r"xdg-open could not open .*clip\.mp4 \(code 3\)"):
        await play(str(opener), video)
    await play(str(program(opener, f'[ "$1" = "{video}" ]')), video)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
