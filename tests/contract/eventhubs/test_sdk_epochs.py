"""Owner levels: who may read a partition beside whom, and who is disconnected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import ConnectionLostError, EventHubError

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 60.0


class Reading:
    """A consumer of partition 0 that is attached once it has seen an event."""

    def __init__(self, sdk: Any, connection: str, group: str, level: int | None) -> None:
        self.attached = asyncio.Event()
        self.error: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.task = sdk.start(
            sdk.consumer(connection, group=group).receive(
                self._on_event,
                on_error=self._on_error,
                partition_id="0",
                owner_level=level,
                starting_position="-1",
            )
        )

    async def _on_event(self, _: Any, __: EventData) -> None:
        self.attached.set()

    async def _on_error(self, _: Any, error: Exception) -> None:
        if not self.error.done():
            self.error.set_result(error)


async def test_the_matrix_of_owner_levels(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, ["x"])

    async def meet(present: int | None, newcomer: int | None, *, wins: bool) -> None:
        # Given a reader that is attached
        group = f"group-{present}-{newcomer}"
        old = Reading(sdk, hubs.connection_string, group, present)
        await asyncio.wait_for(old.attached.wait(), DEADLINE_S)
        # When another one comes
        new = Reading(sdk, hubs.connection_string, group, newcomer)
        # Then one of them has to go, and is told that its link was stolen
        winner, loser = (new, old) if wins else (old, new)
        error = await asyncio.wait_for(loser.error, DEADLINE_S)
        assert isinstance(error, ConnectionLostError), group
        if wins:
            assert f"higher epoch of '{newcomer}' is created" in str(error)
        elif newcomer is None:
            assert "non-epoch receiver is not allowed" in str(error)
        else:
            assert f"with a higher epoch '{present}' already exists" in str(error)
        if wins:
            await asyncio.wait_for(winner.attached.wait(), DEADLINE_S)
        assert not winner.error.done(), group
        winner.task.cancel()

    await asyncio.gather(
        meet(0, 1, wins=True),
        meet(1, 1, wins=True),
        meet(0, 0, wins=True),
        meet(None, 0, wins=True),
        meet(2, 1, wins=False),
        meet(0, None, wins=False),
    )


async def test_readers_without_a_level_share_up_to_five(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, ["x"])
    # Given as many readers of a group as are allowed
    connection = hubs.connection_string
    readings = [Reading(sdk, connection, "$Default", None) for _ in range(5)]
    for reading in readings:
        await asyncio.wait_for(reading.attached.wait(), DEADLINE_S)
    # When one more comes, it is told why it may not stay
    sixth = Reading(sdk, connection, "$Default", None)
    error = await asyncio.wait_for(sixth.error, DEADLINE_S)
    assert isinstance(error, EventHubError)
    assert "maximum number of allowed receivers" in str(error)
    # Then other groups are not counted with them, and a seat that is left is free again
    other = Reading(sdk, connection, "other", None)
    await asyncio.wait_for(other.attached.wait(), DEADLINE_S)
    readings[0].task.cancel()
    await asyncio.gather(readings[0].task, return_exceptions=True)
    late = Reading(sdk, connection, "$Default", None)
    await asyncio.wait_for(late.attached.wait(), DEADLINE_S)
