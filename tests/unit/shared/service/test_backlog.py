"""Which events count as waiting, and which as lost, seen from outside."""

from __future__ import annotations

import pytest

from shared.service.backlog import Backlog, PartitionBacklog
from shared.service.checkpoints import Partition


def one(
    first: int, last: int, position: int | None, *, empty: bool = False, owner: str | None = None
) -> PartitionBacklog:
    return PartitionBacklog(Partition("0", first, last, "0", empty), position, owner)


@pytest.mark.parametrize(
    ("partition", "waiting", "expired"),
    [
        pytest.param(one(0, -1, -1, empty=True), 0, 0, id="never used"),
        pytest.param(one(0, -1, None, empty=True), 0, 0, id="never used, without a checkpoint"),
        pytest.param(one(0, 0, -1), 1, 0, id="its very first event waits"),
        pytest.param(one(0, 9, 9), 0, 0, id="worked off"),
        pytest.param(one(0, 9, 3), 6, 0, id="half-way"),
        pytest.param(one(0, 9, None), 10, 0, id="nobody has ever read it"),
        pytest.param(one(5, 9, 7), 2, 0, id="what expired had been worked off"),
        pytest.param(one(5, 9, 2), 5, 2, id="two events expired unread"),
        pytest.param(one(10, 9, 4, empty=True), 0, 5, id="all that waited has expired"),
        pytest.param(one(0, 3, 1000), 4, 0, id="the position of an earlier hub"),
        pytest.param(one(0, -1, 1000, empty=True), 0, 0, id="an earlier hub's, nothing new"),
    ],
)
def test_waiting_and_expired_events(
    partition: PartitionBacklog, waiting: int, expired: int
) -> None:
    assert (partition.waiting, partition.expired) == (waiting, expired)


def test_a_hub_sums_up_its_partitions() -> None:
    hub = Backlog("frames", (one(0, 9, 3, owner="a"), one(2, 5, 0)), 0.0)

    assert (hub.waiting, hub.expired, hub.enqueued, hub.finished, hub.owned) == (10, 1, 16, 6, 1)
