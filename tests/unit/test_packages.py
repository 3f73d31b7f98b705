"""The application's packages have common names: what happens if another package has the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("form", ["shared.py", "shared/__init__.py"])
@pytest.mark.parametrize(
    "command", ["stylestream", "splitter", "stylizer", "assembler", "exporter", "web"]
)
def test_another_package_called_shared_is_reported_in_one_sentence(
    tmp_path: Path, command: str, form: str
) -> None:
    foreign = tmp_path / form
    foreign.parent.mkdir(exist_ok=True)
    foreign.touch()
    ran = run("-m", command, "--version", cwd=tmp_path, path=[ROOT])
    assert ran.returncode == 2
    assert ran.stderr == (
        "stylestream: another package called 'shared' hides ours: "
        f"{tmp_path / form.removesuffix('/__init__.py')}; start from another folder, or take it "
        "off PYTHONPATH\n"
    )


def test_a_folder_that_is_not_a_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    ran = run("-m", "stylestream", "--version", cwd=tmp_path, path=[ROOT])
    assert ran.returncode == 0, ran.stderr
