"""The Node that runs Azurite is found behind a version manager, too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.azurite_setup import find_node

NODE = find_node()
MANAGER = """#!/bin/sh
if [ ! -f .node-version ]; then echo "no version is set in $PWD" >&2; exit 126; fi
exec '{node}' "$@"
"""


@pytest.mark.skipif(NODE is None, reason="this machine has no Node")
@pytest.mark.parametrize("linked", [False, True])
def test_the_node_that_a_version_manager_chooses_here_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    # Given a command that chooses a version by the current folder
    command = tmp_path / "bin/node"
    command.parent.mkdir()
    manager = tmp_path / "manager" if linked else command
    manager.write_text(MANAGER.format(node=NODE))
    manager.chmod(0o755)
    if linked:
        command.symlink_to(manager)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    monkeypatch.setenv("NODE_OPTIONS", "--require=/nonexistent.js")
    (tmp_path / ".node-version").touch()
    monkeypatch.chdir(tmp_path)
    assert shutil.which("node") == str(command)
    # When it is looked for in that folder
    found = find_node()
    # Then it can be started in any other
    assert found is not None
    monkeypatch.delenv("NODE_OPTIONS")
    subprocess.run([found, "--version"], cwd="/", check=True)
