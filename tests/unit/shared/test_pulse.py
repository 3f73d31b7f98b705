"""When a consumer is idle, when it is busy, and when its receive loop is dead."""

from __future__ import annotations

import pytest

from shared.pulse import Pulse


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    pulse = Pulse(60, rebuilds=2, clock=clock)
    pulse.owns(4)
    return pulse


def test_idle_callbacks_keep_a_consumer_alive(pulse: Pulse, clock: Clock) -> None:
    for _ in range(100):
        clock.now += 59
        with pulse.callback():
            pass
        assert pulse.judge() == "alive"


def test_a_callback_that_waits_for_room_is_no_silence(pulse: Pulse, clock: Clock) -> None:
    with pulse.callback():
        clock.now += 100_000
        assert pulse.judge() == "alive"
    assert pulse.judge() == "alive"


def test_silence_is_answered_with_new_clients_and_in_the_end_given_up(
    pulse: Pulse, clock: Clock
) -> None:
    verdicts = []
    for _ in range(3):
        clock.now += 61
        verdicts.append(pulse.judge())
        pulse.restart()
    assert verdicts == ["rebuild", "rebuild", "hopeless"]


def test_one_callback_of_a_new_client_restores_all_trust(pulse: Pulse, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 61
        assert pulse.judge() == "rebuild"
        with pulse.callback():
            pass


def test_a_consumer_without_partitions_is_a_spare_and_never_hopeless(
    pulse: Pulse, clock: Clock
) -> None:
    pulse.owns(0)
    clock.now += 599
    assert pulse.judge() == "alive"
    for _ in range(20):
        clock.now += 601
        assert pulse.judge() == "rebuild"
        pulse.restart()
