"""A partition read through crashes: every event is processed, and no checkpoint runs ahead.

The machine below is the partition's whole world: events arrive, are taken up in order, finish in
any order; checkpoints are written, or fail, or are written without anybody learning of it; and the
reader dies at any moment, after which a new one goes on behind the stored checkpoint.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.hubs.watermark import Ticket, Watermark


class PartitionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.enqueued = 0
        self.stored = -1
        """The checkpoint: all events up to here are done."""
        self.done: set[int] = set()
        """Events whose effects are durable, whoever worked on them."""
        self._restart()

    def _restart(self) -> None:
        self.watermark: Watermark[int] = Watermark()
        self.in_hand: list[Ticket[int]] = []
        self.next = self.stored + 1

    @rule(count=st.integers(1, 5))
    def arrive(self, count: int) -> None:
        self.enqueued += count

    @precondition(lambda self: self.next < self.enqueued)
    @rule()
    def take_up(self) -> None:
        self.in_hand.append(self.watermark.start(self.next))
        self.next += 1

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), again=st.booleans())
    def finish(self, data: st.DataObject, again: bool) -> None:
        ticket = self.in_hand.pop(data.draw(st.integers(0, len(self.in_hand) - 1)))
        self.done.add(ticket.item)
        ticket.finish()
        if again:
            ticket.finish()

    @rule(outcome=st.sampled_from(["written", "refused", "written and not told"]))
    def checkpoint(self, outcome: str) -> None:
        reached = self.watermark.take()
        if reached is None:
            return
        if outcome != "refused":
            self.stored = reached
        if outcome != "written":
            self.watermark.put_back(reached)

    @rule()
    def crash(self) -> None:
        self._restart()

    @invariant()
    def the_checkpoint_never_passes_unfinished_work(self) -> None:
        assert set(range(self.stored + 1)) <= self.done

    @invariant()
    def what_is_in_hand_is_what_is_counted(self) -> None:
        first = min((ticket.item for ticket in self.in_hand), default=self.next)
        assert self.watermark.unfinished == self.next - first

    def teardown(self) -> None:
        """A reader that lives for long enough works off everything, to the last event."""
        while self.next < self.enqueued:
            self.take_up()
        for ticket in self.in_hand:
            self.done.add(ticket.item)
            ticket.finish()
        reached = self.watermark.take()
        assert (self.stored if reached is None else reached) == self.enqueued - 1


TestPartition = PartitionMachine.TestCase
TestPartition.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
