"""How often storage is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from client import polling


@pytest.mark.parametrize(
    ("first_pause_s", "pauses"),
    [(None, [0.5] * 4), (0.25, [0.25] * 9 + [0.5] * 4)],
)
async def test_what_is_new_is_asked_for_more_often(
    monkeypatch: pytest.MonkeyPatch, first_pause_s: float | None, pauses: list[float]
) -> None:
    now_s, slept = 0.0, list[float]()

    async def sleep(pause_s: float) -> None:
        nonlocal now_s
        now_s += pause_s
        slept.append(pause_s)

    async def ask() -> float:
        return now_s

    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(polling, "asyncio", SimpleNamespace(sleep=sleep))
    async for at_s in polling.polled(ask, 0.5, first_pause_s):
        if at_s >= 6:
            break
    assert slept[: len(pauses) - 4] == pytest.approx(pauses[:-4])
    assert slept[-4:] == pytest.approx(pauses[-4:])
    assert slept == sorted(slept)
