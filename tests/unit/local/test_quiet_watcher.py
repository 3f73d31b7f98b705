"""The upload watcher lists rarely while storage receives no bytes, and soon when it does."""

from __future__ import annotations

import itertools

import pytest

from local import watcher
from local.watcher import GLANCE_S, LONGEST_PAUSE_S, UploadWatcher

STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://h/a;"
HUB = "Endpoint=sb://h/;SharedAccessKeyName=a;SharedAccessKey=b"
INTERVAL_S = 0.5


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(watcher.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(watcher.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def pauses(self, watching: UploadWatcher, until: float) -> list[float]:
        """Return the moments of looks, up to ``until``."""
        looks = []
        while self.now < until:
            await watching._pause(INTERVAL_S)
            looks.append(self.now)
        return looks


async def test_a_watcher_looks_rarely_while_nothing_comes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    watching = UploadWatcher(STORAGE, HUB, bytes_taken=lambda: 0)
    looks = await clock.pauses(watching, until=160)
    assert min(b - a for a, b in itertools.pairwise(looks[-6:])) >= LONGEST_PAUSE_S


async def test_the_first_bytes_after_a_silence_cause_a_look_at_once_and_another_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    # Given an upload that is complete a moment after its bytes were seen
    watching = UploadWatcher(STORAGE, HUB, bytes_taken=lambda: clock.now >= 130)
    looks = [look for look in await clock.pauses(watching, until=132) if look >= 130]
    assert looks[0] <= 130 + 2 * GLANCE_S
    assert looks[1] <= looks[0] + 2 * GLANCE_S
    # Then the looks become rarer
    assert looks[5] - looks[4] >= INTERVAL_S - GLANCE_S


async def test_while_nothing_more_comes_in_the_looks_become_rarer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    # Given a job that writes for two seconds after a silence, and is done
    written = UploadWatcher(STORAGE, HUB, bytes_taken=lambda: min(132, max(130, clock.now)))
    looks = [look for look in await clock.pauses(written, until=145) if look >= 130]
    # Then storage is asked as often as the interval says while it writes
    assert len([look for look in looks if look < 132]) <= 2 / INTERVAL_S + 2
    # And after that at twice the distance each time, until looks are as rare as in a silence
    assert len([look for look in looks if 132.5 <= look < 142]) <= 6


async def test_a_watcher_that_cannot_see_storage_keeps_its_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    looks = await clock.pauses(UploadWatcher(STORAGE, HUB), until=110)
    assert len(looks) == 10 / INTERVAL_S
