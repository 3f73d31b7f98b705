"""A stack to be kept warm: its settings, and what it leaves when its start is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from cli.warm import start_warm


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.timeout(120)
async def test_a_start_with_these_settings_that_is_interrupted_leaves_no_process_and_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "state/stylestream-warm"
    monkeypatch.setenv("STYLES_DIR", str(tmp_path))
    starting = asyncio.create_task(start_warm(5))
    async with asyncio.timeout(60):
        while not (stacks := [*filter(_is_of, psutil.Process().children())]):
            await asyncio.sleep(0.01)
    assert stacks[0].environ()["STYLES_DIR"] == str(tmp_path)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not place.exists()
    assert [child for child in psutil.Process().children(recursive=True) if _is_of(child)] == []


def _is_of(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "cli.warm" in process.cmdline()
    return False
