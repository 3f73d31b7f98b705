"""Completeness beside the plainest model of it: a set of promised chunks and a set of announced."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from manifests import manifest

from assembler.completeness import Completeness
from shared.contracts.errors import ResultError

ENCODERS = st.sampled_from(["", "", "nvenc-1", "nvenc-2"])
COUNTS = st.lists(st.integers(1, 32), min_size=1, max_size=8)


class CompletenessMachine(RuleBasedStateMachine):
    """Any announcements, true and false, before and after the seal, in any order, repeated."""

    @initialize(counts=COUNTS)
    def begin(self, counts: list[int]) -> None:
        self.counts = counts
        self.tracker = Completeness()
        self.announced: dict[int, int] = {}
        self.encoders: dict[int, set[str]] = {}
        self.sealed = False
        self.broken = False

    def _true(self, chunk: int, frames: int) -> bool:
        if self.announced.get(chunk, frames) != frames:
            return False
        promised = self.counts[chunk] if 0 <= chunk < len(self.counts) else None
        return not self.sealed or promised == frames

    @precondition(lambda self: not self.broken)
    @rule(data=st.data(), encoder=ENCODERS)
    def announce_what_is_promised(self, data: st.DataObject, encoder: str) -> None:
        chunk = data.draw(st.integers(0, len(self.counts) - 1))
        self.announce_anything(chunk, self.counts[chunk], encoder)

    @precondition(lambda self: not self.broken)
    @rule(chunk=st.integers(-1, 9), frames=st.integers(0, 33), encoder=ENCODERS)
    def announce_anything(self, chunk: int, frames: int, encoder: str) -> None:
        expected = self._true(chunk, frames)
        try:
            self.tracker.announce(chunk, frames, encoder)
        except ResultError:
            assert not expected
            # The job fails here: what the tracker says from now on is of no interest.
            self.broken = True
        else:
            assert expected
            self.announced[chunk] = frames
            self.encoders.setdefault(chunk, set()).add(encoder)

    @precondition(lambda self: self.broken or self.tracker.complete)
    @rule(counts=COUNTS)
    def begin_another_job(self, counts: list[int]) -> None:
        self.begin(counts)

    @precondition(lambda self: not self.broken and not self.sealed)
    @rule()
    def seal(self) -> None:
        promised = dict(enumerate(self.counts))
        expected = all(promised.get(chunk) == n for chunk, n in self.announced.items())
        try:
            self.tracker.seal(manifest("j", self.counts))
        except ResultError:
            assert not expected
            self.broken = True
        else:
            assert expected
            self.sealed = True

    @precondition(lambda self: hasattr(self, "tracker") and not self.broken)
    @invariant()
    def it_is_complete_exactly_when_all_is_there(self) -> None:
        mixed = len(set().union(*self.encoders.values())) > 1
        assert self.tracker.mixed == mixed
        fits = {i for i, kinds in self.encoders.items() if not mixed or "" in kinds}
        missing = [i for i in range(len(self.counts)) if i not in fits]
        assert self.tracker.complete == (self.sealed and not missing)
        assert self.tracker.missing() == (missing if self.sealed else [])
        assert self.tracker.chunks == len(self.announced)
        assert self.tracker.frames == sum(self.announced.values())


TestCompleteness = CompletenessMachine.TestCase
TestCompleteness.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
