"""The watermark, on which promise I1 depends, against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from shared.hubs.watermark import Ticket, Watermark


@given(st.permutations(range(12)), st.sets(st.integers(0, 12)))
def test_whatever_the_order_of_finishing_no_unfinished_item_is_passed(
    order: list[int], looks: set[int]
) -> None:
    watermark: Watermark[int] = Watermark()
    tickets = [watermark.start(item) for item in range(12)]
    finished: set[int] = set()
    for step, item in enumerate(order):
        tickets[item].finish()
        finished.add(item)
        if step in looks and (reached := watermark.take()) is not None:
            assert set(range(reached + 1)) <= finished
    assert watermark.unfinished == 0


class WatermarkMachine(RuleBasedStateMachine):
    """Any interleaving of starts, finishes, takes and failed checkpoints, beside a naive model."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.watermark: Watermark[int] = Watermark()
        self.started = 0
        self.finished: set[int] = set()
        self.checkpoint = -1

    @rule(target=tickets)
    def start(self) -> Ticket[int]:
        self.started += 1
        return self.watermark.start(self.started - 1)

    @rule(ticket=consumes(tickets))
    def finish(self, ticket: Ticket[int]) -> None:
        ticket.finish()
        self.finished.add(ticket.item)

    @rule(ticket=tickets)
    def look_at_an_open_ticket_changes_nothing(self, ticket: Ticket[int]) -> None:
        assert not ticket.finished

    @rule(stored=st.booleans())
    def take(self, stored: bool) -> None:
        reached = self.watermark.take()
        if reached is None:
            return
        assert reached > self.checkpoint
        assert set(range(reached + 1)) <= self.finished
        if stored:
            self.checkpoint = reached
        else:
            self.watermark.put_back(reached)

    @invariant()
    def nothing_finished_is_forgotten(self) -> None:
        contiguous = next(i for i in range(self.started + 1) if i not in self.finished)
        assert self.watermark.unfinished == self.started - contiguous


TestWatermark = WatermarkMachine.TestCase


def test_a_checkpoint_that_could_not_be_written_is_offered_again() -> None:
    watermark: Watermark[str] = Watermark()
    watermark.start("a").finish()
    taken = watermark.take()
    assert taken == "a"
    watermark.put_back(taken)
    assert watermark.take() == "a"


def test_a_newer_watermark_wins_over_one_that_was_put_back() -> None:
    watermark: Watermark[str] = Watermark()
    watermark.start("a").finish()
    taken = watermark.take()
    watermark.start("b").finish()
    watermark.put_back(taken)
    assert watermark.take() == "b"
