"""A process that paints a suspect chunk may do what it likes: its caller goes on."""

from __future__ import annotations

import sys

import pytest
from manifests import manifest

from shared.contracts.messages import ChunkReady
from stylizer.attempts import isolation
from stylizer.attempts.isolation import AttemptFailed, run_isolated

PATIENCE_S = 120.0


def chunk() -> ChunkReady:
    sealed = manifest("0" * 24, [8])
    return ChunkReady.of(sealed.job_id, sealed.source, sealed.style, sealed.chunks[0])


@pytest.mark.parametrize(
    ("script", "start_s", "deadline_s", "sentence", "detail"),
    [
        (
            "sys.stderr.write('x' * 2**20); time.sleep(600)",
            *(0.5, PATIENCE_S),
            *("did not start within 0.5 s", ""),
        ),
        (
            "print('ready', flush=True); time.sleep(600)",
            *(PATIENCE_S, 0.5),
            *("not painted within 0.5 s", ""),
        ),
        (
            "print('ready', flush=True); raise RuntimeError('no paint')",
            *(PATIENCE_S, PATIENCE_S),
            "the process that painted it ended with exit code 1$",
            "RuntimeError: no paint",
        ),
        (
            "print('ready', flush=True); os.abort()",
            *(PATIENCE_S, PATIENCE_S),
            *("ended with SIGABRT$", ""),
        ),
    ],
)
async def test_what_goes_wrong_there_is_reported_and_holds_up_nobody(
    script: str,
    start_s: float,
    deadline_s: float,
    sentence: str,
    detail: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        isolation, "_COMMAND", (sys.executable, "-c", f"import os, sys, time; {script}")
    )
    monkeypatch.setattr(isolation, "_START_S", start_s)
    with pytest.raises(AttemptFailed, match=sentence) as failed:
        await run_isolated("paint", chunk(), b"frames", deadline_s=deadline_s)
    assert detail in failed.value.detail
