"""The upload watcher lists rarely while storage takes in no bytes."""

from __future__ import annotations

import pytest

from local import watcher
from local.watcher import UploadWatcher

STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://h/a;"
HUB = "Endpoint=sb://h/;SharedAccessKeyName=a;SharedAccessKey=b"


def test_a_watcher_is_quiet_only_long_after_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    now, taken = [100.0], [0]
    monkeypatch.setattr(watcher.time, "monotonic", lambda: now[0])
    watching = UploadWatcher(STORAGE, HUB, bytes_taken=lambda: taken[0])
    quiet = []
    for seconds, more in ((1, 0), (6, 0), (1, 5), (4, 0), (2, 0)):
        now[0] += seconds
        taken[0] += more
        quiet.append(watching._is_quiet())
    assert quiet == [False, True, False, False, True]


def test_a_watcher_that_cannot_see_storage_is_never_quiet() -> None:
    assert not UploadWatcher(STORAGE, HUB)._is_quiet()
