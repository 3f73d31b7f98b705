"""A process that paints a suspect chunk may do what it likes: its caller goes on."""

from __future__ import annotations

import asyncio
import sys

import pytest
from manifests import manifest

from shared.contracts.messages import ChunkReady
from stylizer.attempts import isolation
from stylizer.attempts.isolation import AttemptFailed, run_isolated


def chunk() -> ChunkReady:
    sealed = manifest("0" * 24, [8])
    return ChunkReady.of(sealed.job_id, sealed.source, sealed.style, sealed.chunks[0])


@pytest.mark.parametrize(
    ("script", "sentence", "detail"),
    [
        ("sys.stderr.write('x' * 2**20); time.sleep(60)", "did not start within 3 s", ""),
        ("print('ready', flush=True); time.sleep(60)", "not painted within 0.5 s", ""),
        (
            "print('ready', flush=True); raise RuntimeError('no paint')",
            "the process that painted it ended with exit code 1$",
            "RuntimeError: no paint",
        ),
        ("print('ready', flush=True); os.abort()", "ended with SIGABRT$", ""),
    ],
)
async def test_what_goes_wrong_there_is_reported_and_holds_up_nobody(
    script: str, sentence: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        isolation, "_COMMAND", (sys.executable, "-c", f"import os, sys, time; {script}")
    )
    monkeypatch.setattr(isolation, "_START_S", 3.0)
    async with asyncio.timeout(20):
        with pytest.raises(AttemptFailed, match=sentence) as failed:
            await run_isolated("paint", chunk(), b"frames", deadline_s=0.5)
    assert detail in failed.value.detail
