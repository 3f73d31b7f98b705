"""When a consumer is idle, when it is busy, and when it is silent."""

from __future__ import annotations

import pytest

from shared.hubs.liveness import Liveness


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def liveness(clock: Clock) -> Liveness:
    return Liveness(60, rebuilds=2, clock=clock)


def test_events_keep_a_consumer_from_being_questioned(liveness: Liveness, clock: Clock) -> None:
    for _ in range(100):
        clock.now += 59
        assert not liveness.silent
        with liveness.events():
            pass


def test_events_that_wait_for_room_do_not_count_as_silence(
    liveness: Liveness, clock: Clock
) -> None:
    with liveness.events():
        clock.now += 100_000
        assert not liveness.silent
    assert not liveness.silent


def test_a_consumer_with_nothing_to_read_is_alive_forever(liveness: Liveness, clock: Clock) -> None:
    for _ in range(100):
        clock.now += 60
        assert liveness.silent
        assert liveness.judge(behind=False) == "alive"
        assert not liveness.silent


def test_a_silent_consumer_gets_new_clients_and_is_given_up_in_the_end(
    liveness: Liveness, clock: Clock
) -> None:
    verdicts = []
    for _ in range(3):
        clock.now += 60
        assert liveness.silent
        verdicts.append(liveness.judge(behind=True))
    assert verdicts == ["rebuild", "rebuild", "unrecoverable"]


def test_one_event_through_a_new_client_restores_all_trust(
    liveness: Liveness, clock: Clock
) -> None:
    for _ in range(20):
        clock.now += 60
        assert liveness.judge(behind=True) == "rebuild"
        with liveness.events():
            pass
