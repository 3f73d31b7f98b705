"""The scripts find their checkout, whatever shells and Pythons were told about other places."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which set-up and command only say how they were called."""
    folder = tmp_path / "a checkout"
    for name in ("scripts/setup", ".venv/bin/stylestream"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text('#!/bin/sh\necho "$0 $* $PYTHONHOME"\n')
        (folder / name).chmod(0o755)
    shutil.copy(ROOT / "scripts/run", folder / "scripts")
    return folder


@pytest.mark.parametrize("settings", [{}, {"CDPATH": ".:/tmp"}, {"PYTHONHOME": "/opt/other"}])
def test_run_finds_its_checkout(checkout: Path, settings: dict[str, str]) -> None:
    assert said(checkout, settings) == calls(checkout)


def test_a_link_to_a_checkout_is_the_same_checkout(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout)
    assert said(link, {"PWD": str(link)}) == calls(checkout)


def calls(checkout: Path) -> str:
    return f"{checkout}/scripts/setup  \n{checkout}/.venv/bin/stylestream run --help \n"


def said(checkout: Path, settings: dict[str, str]) -> str:
    ran = subprocess.run(
        ["scripts/run", "--help"],
        cwd=checkout,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr
