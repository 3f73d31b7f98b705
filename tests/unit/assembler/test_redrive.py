"""Chunks are sent again when they are provably lost, and only then."""

from __future__ import annotations

from assembler.redrive import Redrive
from shared.hubs.reach import Reach

MISSING = {3: 0, 4: 1, 9: 0}


def test_chunks_that_still_wait_in_the_hub_are_left_alone() -> None:
    redrive = Redrive(rounds=1)
    for finished in (0, 5, 6):
        assert redrive.judge(MISSING, Reach((7, 7), (finished, finished))).action == "wait"


def test_later_events_in_the_hub_do_not_delay_the_verdict() -> None:
    redrive = Redrive(rounds=1)
    assert redrive.judge(MISSING, Reach((7, 7), (6, 6))).action == "wait"
    verdict = redrive.judge(MISSING, Reach((90, 90), (7, 6)))
    assert (verdict.action, verdict.lost) == ("resend", (3, 9))


def test_missing_chunks_of_a_fully_processed_partition_are_lost() -> None:
    verdict = Redrive(rounds=1).judge(MISSING, Reach((7, 7), (3, 7)))
    assert (verdict.action, verdict.lost) == ("resend", (4,))


def test_a_hub_without_events_has_lost_everything() -> None:
    verdict = Redrive(rounds=1).judge(MISSING, Reach((-1, -1), (-1, -1)))
    assert (verdict.action, verdict.lost) == ("resend", (3, 4, 9))


def test_chunks_sent_again_are_lost_only_once_their_new_events_were_processed() -> None:
    redrive = Redrive(rounds=2)
    assert redrive.judge(MISSING, Reach((7, 7), (7, 7))).action == "resend"
    assert redrive.judge(MISSING, Reach((9, 8), (8, 7))).action == "wait"
    assert redrive.judge(MISSING, Reach((9, 8), (9, 7))).lost == (3, 9)


def test_each_chunk_has_its_own_count() -> None:
    redrive = Redrive(rounds=1)
    assert redrive.judge({1: 0, 2: 1}, Reach((0, 5), (0, 4))).lost == (1,)
    verdict = redrive.judge({1: 0, 2: 1}, Reach((1, 5), (0, 5)))
    assert (verdict.action, verdict.lost) == ("resend", (2,))


def test_after_the_last_round_the_lost_chunks_are_given_up_by_name() -> None:
    redrive = Redrive(rounds=1)
    assert redrive.judge({5: 0}, Reach((0,), (0,))).action == "resend"
    verdict = redrive.judge({5: 0}, Reach((1,), (1,)))
    assert (verdict.action, verdict.lost) == ("give_up", (5,))


def test_a_chunk_waits_where_it_was_sent_though_the_hub_has_more_partitions_now() -> None:
    redrive = Redrive(rounds=1)
    assert redrive.judge({5: 0}, Reach((7,), (3,))).action == "wait"
    # It would go to another partition by now, in which nothing waits
    for other in (-1, 2):
        assert redrive.judge({5: 1}, Reach((7, other), (3, other))).action == "wait"
    assert redrive.judge({5: 1}, Reach((7, 2), (7, 2))).lost == (5,)
    # When it is sent again, it goes there
    assert redrive.judge({5: 1}, Reach((9, 3), (7, 2))).action == "wait"
    assert redrive.judge({5: 1}, Reach((9, 3), (7, 3))).lost == (5,)


def test_what_waited_in_a_partition_that_is_gone_is_lost() -> None:
    redrive = Redrive(rounds=1)
    assert redrive.judge({5: 2}, Reach((7, 7, 7), (3, 3, 3))).action == "wait"
    # The hub was recreated, with fewer partitions
    assert redrive.judge({5: 1}, Reach((-1, -1), (-1, -1))).lost == (5,)
