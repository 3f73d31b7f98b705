"""What was lost with a partition, and what was not, because no other splitter will get it."""

from __future__ import annotations

import pytest

from splitter.losses import Losses


@pytest.mark.parametrize("anew", [False, True])
async def test_waiting_work_is_left_to_others_unless_its_hub_was_recreated(anew: bool) -> None:
    asked = []

    async def settle() -> None:
        asked.append(anew)
        losses.settled(anew)

    losses = Losses(settle)
    before = losses.of("0")
    assert not await losses.since("0", before)
    losses.note("0")
    # What comes of the partition after that is not lost, however the question is settled
    after = losses.of("0")
    assert not await losses.since("0", after)
    assert asked == []
    assert await losses.since("0", before) is not anew
    assert not await losses.since("0", after)
    assert not await losses.since("1", losses.of("1"))
    assert asked == [anew]
    # Lost once more, to another splitter this time
    losses.note("0")
    losses.settled(False)
    assert await losses.since("0", after)
    assert await losses.since("0", before)
