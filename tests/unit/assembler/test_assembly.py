"""Results that cannot be made."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from manifests import manifest
from prometheus_client import CollectorRegistry

from assembler import assembly
from assembler.assembly import Assembly
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError, TransientError


async def test_a_full_work_folder_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(assembly, "mux", full)
    settings = AssemblerSettings(
        storage_connection_string="UseDevelopmentStorage=true",
        eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",
        work_dir=str(tmp_path),
    )
    making = Assembly(settings, None, None, AssemblerMetrics(CollectorRegistry()))
    with pytest.raises(ResultError, match=r"give it more space \(WORK_DIR\)") as caught:
        await making.run(manifest("job", [8]))
    assert caught.value.code == "NO_SPACE"
    with os.scandir(tmp_path) as left:
        assert not list(left), "nothing half-made stays behind"


async def test_a_machine_that_starts_no_thread_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    settings = AssemblerSettings(
        storage_connection_string="UseDevelopmentStorage=true",
        eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",
        work_dir=str(tmp_path),
    )
    making = Assembly(settings, None, None, AssemblerMetrics(CollectorRegistry()))
    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(TransientError, match="reached its limit of memory or threads"):
        await making.run(manifest("job", [8]))
