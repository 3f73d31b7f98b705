"""The redrive planner in a hub that loses chunks: what still waits is never sent again.

A chunk is lost when a stylizer's checkpoint passes its event although no segment was announced,
which should never happen and is what the redrive is there for.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from assembler.redrive import Redrive
from shared.hubs.reach import Reach

PARTITIONS = 3
FOREIGN = -1


class HubMachine(RuleBasedStateMachine):
    @initialize(chunks=st.integers(1, 8), rounds=st.integers(0, 3), before=st.integers(0, 4))
    def send(self, chunks: int, rounds: int, before: int) -> None:
        self.rounds = rounds
        self.redrive = Redrive(rounds)
        self.hub: list[list[int]] = [[FOREIGN] * before for _ in range(PARTITIONS)]
        self.finished = [-1] * PARTITIONS
        self.missing = {chunk: chunk % PARTITIONS for chunk in range(chunks)}
        self.resent: Counter[int] = Counter()
        self.given_up = self.looked = False
        for chunk, partition in self.missing.items():
            self.hub[partition].append(chunk)

    @rule(partition=st.integers(0, PARTITIONS - 1))
    def other_jobs_send(self, partition: int) -> None:
        self.hub[partition].append(FOREIGN)

    @rule(partition=st.integers(0, PARTITIONS - 1), lose=st.booleans())
    def work_off_the_next(self, partition: int, lose: bool) -> None:
        place = self.finished[partition] + 1
        if place == len(self.hub[partition]):
            return
        self.finished[partition] = place
        if not lose:
            self.missing.pop(self.hub[partition][place], None)

    # Where a chunk went before the first look, nobody knows afterwards
    @precondition(lambda self: self.looked)
    @rule()
    def the_hub_is_given_a_partition(self) -> None:
        self.hub.append([])
        self.finished.append(-1)
        self.missing = {chunk: chunk % len(self.hub) for chunk in self.missing}

    @precondition(lambda self: self.missing and not self.given_up)
    @rule()
    def look(self) -> None:
        reach = Reach(
            newest=tuple(len(events) - 1 for events in self.hub), finished=tuple(self.finished)
        )
        verdict = self.redrive.judge(self.missing, reach)
        for chunk in verdict.lost:
            assert not self._waits(chunk), "it would have been painted"
        if verdict.action == "resend":
            self.resent.update(verdict.lost)
            for chunk in verdict.lost:
                self.hub[self.missing[chunk]].append(chunk)
        self.given_up = verdict.action == "give_up"
        self.looked = verdict.action == "wait"
        if self.given_up:
            assert verdict.lost
            assert all(self.resent[chunk] == self.rounds for chunk in verdict.lost)

    def _waits(self, chunk: int) -> bool:
        waiting = (events[done + 1 :] for events, done in zip(self.hub, self.finished, strict=True))
        return any(chunk in events for events in waiting)

    @precondition(lambda self: hasattr(self, "redrive"))
    @invariant()
    def rounds_are_bounded(self) -> None:
        assert all(count <= self.rounds for count in self.resent.values())

    def teardown(self) -> None:
        """A permanent loss of everything is reported after the last round, not waited for."""
        for _ in range(2 * self.rounds + 3):
            if self.given_up or not self.missing:
                return
            self.finished = [len(events) - 1 for events in self.hub]
            self.look()
        assert self.given_up


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
