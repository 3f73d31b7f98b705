"""Whatever a process does that paints a suspect chunk, its caller continues."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psutil
import pytest
from manifests import manifest

from shared.contracts.messages import ChunkReady
from stylizer.attempts import isolation
from stylizer.attempts.isolation import AttemptFailed, IsolatedPainter, NotStarted

PATIENCE_S = 120.0


def chunk() -> ChunkReady:
    sealed = manifest("0" * 24, [8])
    return ChunkReady.of(sealed.job_id, sealed.source, sealed.style, sealed.chunks[0])


HAS_THE_CHUNK = "sys.stdin.buffer.read(6); print('ready', flush=True); sys.stdin.readline()"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what lets children run a script."""

    def run(script: str) -> None:
        program = f"import os, sys, time; {script}"
        monkeypatch.setattr(isolation, "_COMMAND", (sys.executable, "-c", program))

    return run


@pytest.mark.parametrize(
    ("script", "start_s", "sentence"),
    [
        (
            "sys.stderr.write('x' * 2**20); time.sleep(600)",
            *(0.5, "did not start within 0.5 s"),
        ),
        ("time.sleep(600)", 0.5, "did not start within 0.5 s"),
        ("raise RuntimeError('no styles')", PATIENCE_S, "exit code 1: RuntimeError: no styles$"),
        ("os.abort()", PATIENCE_S, "did not start: SIGABRT$"),
        ("sys.stdin.buffer.read(6); os.abort()", PATIENCE_S, "did not start: SIGABRT$"),
        ("pass", PATIENCE_S, "did not start: exit code 0$"),
    ],
)
async def test_a_child_that_ends_before_it_has_the_chunk_has_not_started(
    script: str,
    start_s: float,
    sentence: str,
    child: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child(script)
    monkeypatch.setattr(isolation, "_START_S", start_s)
    with pytest.raises(NotStarted, match=sentence):
        # More than a pipe holds
        await IsolatedPainter.start("paint", chunk(), b"frames" * 2**18)


@pytest.mark.parametrize(
    ("script", "deadline_s", "sentence", "detail"),
    [
        ("time.sleep(600)", 0.5, "not painted within 0.5 s", ""),
        (
            "raise RuntimeError('no paint')",
            PATIENCE_S,
            "the process that painted it ended with exit code 1$",
            "RuntimeError: no paint",
        ),
        ("os.abort()", PATIENCE_S, "ended with SIGABRT$", ""),
        pytest.param(
            *("os.kill(os.getpid(), 40)", PATIENCE_S, "ended with signal 40$", ""),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="a signal of Linux"),
        ),
    ],
)
async def test_failures_in_isolation_are_reported_and_hold_up_nobody(
    script: str,
    deadline_s: float,
    sentence: str,
    detail: str,
    child: Callable[[str], None],
) -> None:
    child(f"{HAS_THE_CHUNK}; {script}")
    async with await IsolatedPainter.start("paint", chunk(), b"frames") as painter:
        with pytest.raises(AttemptFailed, match=sentence) as failed:
            await painter.segment(deadline_s)
    assert detail in failed.value.detail


async def test_a_child_may_write_more_than_a_pipe_holds_before_it_is_ready(
    child: Callable[[str], None],
) -> None:
    child(f"sys.stderr.write('x' * 2**20 + chr(10)); {HAS_THE_CHUNK}; sys.exit('no paint')")
    async with await IsolatedPainter.start("paint", chunk(), b"frames") as painter:
        with pytest.raises(AttemptFailed) as failed:
            await painter.segment(PATIENCE_S)
    assert failed.value.detail.endswith("exit code 1: no paint")


async def test_a_child_that_is_not_needed_ends_with_its_context() -> None:
    async with await IsolatedPainter.start("pass_through", chunk(), b"frames") as painter:
        process = psutil.Process(painter.pid)
    assert not process.is_running()
