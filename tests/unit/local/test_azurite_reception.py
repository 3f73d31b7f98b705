"""What a stack's storage receives is noticed from the files that it writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local import azurite
from local.azurite import Reception

MINUTE_NS = 60 * 10**9


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    folder = tmp_path / "__blobstorage__"
    folder.mkdir()
    return folder


def write(file: Path, when_ns: int) -> None:
    """Write to a file and have it and its folder say when; a file that is there only grows."""
    begins = not file.exists()
    with file.open("ab") as opened:
        opened.write(b"x")
    for changed in (file, file.parent) if begins else (file,):
        os.utime(changed, ns=(when_ns, when_ns))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in ns, to be set."""
    now = [1_000 * MINUTE_NS]
    monkeypatch.setattr(azurite.time, "time_ns", lambda: now[0])
    return now


def test_each_write_is_noticed_and_silence_is_not(blobs: Path, clock: list[int]) -> None:
    reception = Reception(blobs.parent)
    os.utime(blobs, ns=(clock[0], clock[0]))
    assert reception.look() == clock[0]
    for _ in range(3):
        clock[0] += MINUTE_NS // 600
        write(blobs / str(clock[0]), clock[0])
        assert reception.look() == clock[0]
    last = clock[0]
    clock[0] += 2 * MINUTE_NS
    assert {reception.look() for _ in range(3)} == {last}


def test_a_long_write_is_noticed_while_it_goes_on(blobs: Path, clock: list[int]) -> None:
    reception = Reception(blobs.parent)
    write(blobs / "old", clock[0] - 10 * MINUTE_NS)
    write(blobs / "long", clock[0])
    reception.look()
    for _ in range(5):
        clock[0] += MINUTE_NS // 4
        write(blobs / "long", clock[0])
        assert reception.look() == clock[0]
    # However often others begin meanwhile, and end at once
    write(blobs / "short", clock[0])
    reception.look()
    clock[0] += MINUTE_NS // 4
    write(blobs / "long", clock[0])
    assert reception.look() == clock[0]


def test_storage_that_has_stored_nothing_yet_has_received_nothing(tmp_path: Path) -> None:
    assert Reception(tmp_path).look() == 0
