"""A stack to be kept warm that is interrupted before it runs leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from cli.warm import start_warm


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.timeout(120)
async def test_a_start_that_is_interrupted_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    place = tmp_path / "state/stylestream-warm"
    starting = asyncio.create_task(start_warm(5))
    async with asyncio.timeout(60):
        while not list(place.glob("*/supervisor.log")):
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not place.exists()
    assert [child for child in psutil.Process().children(recursive=True) if _is_of(child)] == []


def _is_of(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "cli.warm" in process.cmdline()
    return False
