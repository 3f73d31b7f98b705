"""Which events of a lost partition come again: not those of a hub that was recreated."""

from __future__ import annotations

from typing import Any

import pytest
from azure.eventhub import CloseReason
from azure.eventhub.aio import PartitionContext
from prometheus_client import CollectorRegistry
from unit.shared.hubs.test_claims import event

from shared.contracts.errors import TransientError
from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Delivery
from shared.hubs.positions import Corrected, HubFacts
from shared.telemetry.metrics import WorkMetrics


class Hub:
    """Says when it was created, and how often it was asked."""

    def __init__(self) -> None:
        self.made, self.down, self.asked = "2026", False, 0

    async def correct(self, _client: Any) -> Corrected:
        self.asked += 1
        if self.down:
            raise TransientError("the hub is down")
        return Corrected(0, HubFacts(self.made, frozenset("0")))


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def taken() -> list[Delivery]:
    return []


@pytest.fixture
def consumer(hub: Hub, taken: list[Delivery]) -> Consumer:
    async def connect(_begin_handover: Any) -> Any:
        return None

    async def take(delivery: Delivery) -> None:
        taken.append(delivery)

    return Consumer(
        connect,
        hub,  # type: ignore[arg-type]  # no more of it is needed
        take,
        checkpoint_interval_s=60,
        patience_s=60,
        metrics=WorkMetrics(CollectorRegistry(), "test").reading("uploads"),
        on_unrecoverable=lambda _: None,
    )


async def lose(consumer: Consumer, number: int) -> None:
    """Let a consumer get an event, and lose its partition."""
    context = PartitionContext("hubs", "uploads", "group", "0", None)
    await consumer._on_open(context)
    await consumer._on_events(context, [event(number)])
    await consumer._on_close(context, CloseReason.OWNERSHIP_LOST)


@pytest.mark.parametrize("recreated", [False, True])
async def test_an_event_in_hand_comes_again_unless_its_hub_was_recreated(
    consumer: Consumer, hub: Hub, taken: list[Delivery], *, recreated: bool
) -> None:
    released: list[str] = []
    checked: list[bool] = []
    await consumer._check_hub()
    consumer.on_released(released.append, lambda: checked.append(taken[0].hub.gone))
    await lose(consumer, 4)
    hub.made = "2027" if recreated else hub.made
    assert taken[0].will_be_redelivered
    await consumer.check_released()
    await consumer.check_released()
    assert taken[0].will_be_redelivered is not recreated
    # What comes after that is the next hub's
    await lose(consumer, 5)
    assert taken[1].will_be_redelivered
    assert (released, checked, hub.asked) == (["0", "0"], [recreated], 2)


async def test_a_hub_that_does_not_answer_is_asked_again(
    consumer: Consumer, hub: Hub, taken: list[Delivery]
) -> None:
    await lose(consumer, 4)
    hub.down = True
    for _ in range(2):
        with pytest.raises(TransientError):
            await consumer.check_released()
    assert hub.asked == 2
    assert taken[0].will_be_redelivered
