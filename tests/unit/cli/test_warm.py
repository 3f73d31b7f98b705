"""A stack to be kept warm: its settings, and what it leaves when its start is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest

from cli import warm
from cli.warm import start_warm
from client.local_stack import STATE_FILE, StackState


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


@pytest.mark.usefixtures("bare_environment")
def test_a_killed_stack_is_not_taken_for_a_running_one_while_its_folder_is_deleted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "state/stylestream-warm/killed"
    folder.mkdir(parents=True)
    (folder / "disposable").touch()
    state = StackState(
        state="running",
        port_block=0,
        supervisor=1,
        storage_connection_string="",
        eventhub_connection_string="",
        endpoints={},
        processes={},
    )
    (folder / STATE_FILE).write_text(state.model_dump_json())
    remove, found = warm._remove, []

    def look_and_remove(folder: Path) -> None:
        found.append(warm.find_warm())
        remove(folder)

    monkeypatch.setattr(warm, "_remove", look_and_remove)
    warm._sweep()
    assert found == [None]
    assert not folder.exists()


def _is_of(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "cli.warm" in process.cmdline()
    return False
