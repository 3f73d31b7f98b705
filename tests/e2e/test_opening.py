"""``stylestream up --open``, while the stack that it is about runs already."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from local.stack import Stack, StackOptions

COMMAND = Path(sys.executable).with_name("stylestream")

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


async def test_the_studio_that_runs_is_opened_and_no_other_stack_is_started(tmp_path: Path) -> None:
    folder, opened = tmp_path / "stack", tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >"{opened}"\n', encoding="utf-8")
    browser.chmod(0o755)
    async with Stack(StackOptions(folder, studio=True, disposable=True)) as stack:
        before = psutil.Process().children(recursive=True)
        code, out, err = await up("--open", "--dir", folder, BROWSER=str(browser))
        assert (code, err) == (0, "")
        assert out == f"the studio is running already: open {stack.studio_address}\n"
        assert opened.read_text(encoding="utf-8").strip() == stack.studio_address
        assert psutil.Process().children(recursive=True) == before

        code, out, err = await up("--open", "--dir", folder, "--stylizers", "2")
        assert (code, out) == (2, "")
        why = f"has no effect: the stack in {folder} is running already"
        assert err == f"stylestream: --stylizers {why}\n"


async def up(*arguments: object, **more: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "up", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | more,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
