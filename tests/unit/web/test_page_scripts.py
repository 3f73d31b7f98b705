"""Runs the tests of the page's scripts that need no browser, under Node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.azurite_setup import find_node

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[2] / "web/static"


def test_the_pages_scripts_do_what_they_promise(tmp_path):
    node = find_node()
    if node is None:
        assert not os.environ.get("CI"), "Node is missing: scripts/setup --test installs it"
        pytest.skip("Node is not installed, and without it no script of the page runs")
    # Browsers are told by the page that these are modules, and Node by this file.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for script in (*SCRIPTS.glob("*.js"), HERE / "page_scripts.mjs"):
        shutil.copy(script, tmp_path)
    ran = subprocess.run(
        [node, "--test", "page_scripts.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
