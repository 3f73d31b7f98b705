"""Which positions are written in advance: nothing unread is skipped, no lag stays forever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deploy.scaling.keda import Partition as Seen
from deploy.scaling.keda import unprocessed
from shared.service.checkpoints import (
    BEGINNING,
    Partition,
    Position,
    checkpoint_blob,
    right_position,
)
from shared.service.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[4]
NEW = Partition("0", first=-1, last=-1, last_offset="-1", empty=True)


def test_a_new_partition_is_read_from_its_beginning() -> None:
    assert right_position(NEW, None) == Position(BEGINNING, -1)
    assert Position(BEGINNING, -1).metadata == {"offset": "-1", "sequencenumber": "-1"}


def test_a_position_within_its_partition_is_left_alone() -> None:
    partition = Partition("0", first=5, last=9, last_offset="900", empty=False)
    for reached in range(-1, 10):
        assert right_position(partition, reached) is None


def test_a_position_beyond_the_end_is_another_hubs() -> None:
    partition = Partition("0", first=0, last=9, last_offset="900", empty=False)
    assert right_position(partition, 10) == Position(BEGINNING, -1)
    assert right_position(NEW, 0) == Position(BEGINNING, -1)


def test_lag_of_which_everything_has_expired_is_given_up() -> None:
    expired = Partition("0", first=10, last=9, last_offset="900", empty=True)
    assert right_position(expired, 4) == Position("900", 9)
    assert right_position(expired, 9) is None
    assert right_position(expired, None) == Position(BEGINNING, 9)


@given(first=st.integers(0, 1000), retained=st.integers(1, 1000))
def test_without_a_position_the_lag_becomes_exactly_what_is_retained(
    first: int, retained: int
) -> None:
    last = first + retained - 1
    position = right_position(Partition("0", first, last, "1", empty=False), None)
    assert position is not None
    assert position.offset == BEGINNING
    assert unprocessed(Seen(first, last, position.sequence_number)) == retained


def test_positions_are_named_as_the_checkpoint_store_names_them() -> None:
    settings = ServiceSettings(
        eventhub_fully_qualified_namespace="Mine.servicebus.windows.net",
        storage_account_url="https://mine.blob.core.windows.net",
        consumer_group="$Default",
    )
    assert (
        checkpoint_blob(settings, "Frames", "7")
        == "mine.servicebus.windows.net/frames/$default/checkpoint/7"
    )


def test_the_job_says_all_that_is_missing_and_exits_with_2() -> None:
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "shared.service.checkpoints"],
        env=bare,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "EVENTHUB_CONNECTION_STRING" in ended.stderr
    assert "STORAGE_CONNECTION_STRING" in ended.stderr
    assert "Traceback" not in ended.stderr
