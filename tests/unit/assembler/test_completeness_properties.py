"""Completeness against a simple model: a set of promised and a set of announced chunks."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from manifests import manifest

from assembler.agreement import Provenance
from assembler.completeness import Completeness
from shared.contracts.errors import ResultError

PROVENANCES = st.builds(
    Provenance,
    styles=st.sampled_from(["", "a", "b", "c"]),
    encoder=st.sampled_from(["", "", "nvenc-1", "nvenc-2"]),
)
COUNTS = st.lists(st.integers(1, 32), min_size=1, max_size=8)


class CompletenessMachine(RuleBasedStateMachine):
    """Any announcements, true and false, before and after the seal, in any order, repeated."""

    @initialize(counts=COUNTS)
    def begin(self, counts: list[int]) -> None:
        self.counts = counts
        self.tracker = Completeness()
        self.announced: dict[int, int] = {}
        self.provenances: dict[int, Provenance] = {}
        self.versions: list[str] = []
        self.given_up: set[str] = set()
        self.sealed = False
        self.broken = False

    def _true(self, chunk: int, frames: int) -> bool:
        if self.announced.get(chunk, frames) != frames:
            return False
        promised = self.counts[chunk] if 0 <= chunk < len(self.counts) else None
        return not self.sealed or promised == frames

    @precondition(lambda self: not self.broken)
    @rule(data=st.data(), provenance=PROVENANCES)
    def announce_what_is_promised(self, data: st.DataObject, provenance: Provenance) -> None:
        chunk = data.draw(st.integers(0, len(self.counts) - 1))
        self.announce_anything(chunk, self.counts[chunk], provenance)

    @precondition(lambda self: not self.broken)
    @rule(chunk=st.integers(-1, 9), frames=st.integers(0, 33), provenance=PROVENANCES)
    def announce_anything(self, chunk: int, frames: int, provenance: Provenance) -> None:
        expected = self._true(chunk, frames)
        try:
            self.tracker.announce(chunk, frames, provenance)
        except ResultError:
            assert not expected
            # The job fails here: what the tracker says from now on is of no interest.
            self.broken = True
        else:
            assert expected
            self.announced[chunk] = frames
            self.note(chunk, provenance)

    def note(self, chunk: int, provenance: Provenance) -> None:
        if provenance.styles and (
            chunk not in self.provenances or provenance.styles not in self.versions
        ):
            self.versions = [v for v in self.versions if v != provenance.styles] + [
                provenance.styles
            ]
        before = self.provenances.setdefault(chunk, provenance)
        processors = bool(before.encoder) > bool(provenance.encoder)
        newer = bool(before.encoder) == bool(provenance.encoder) and (
            self.wanted(provenance) > self.wanted(before)
        )
        if processors or newer:
            self.provenances[chunk] = provenance

    def wanted(self, provenance: Provenance) -> bool:
        left = [v for v in self.versions if v not in self.given_up]
        return not provenance.styles or not left or left[-1] == provenance.styles

    @precondition(lambda self: not self.broken and self.versions)
    @rule()
    def give_up_version(self) -> None:
        left = [v for v in self.versions if v not in self.given_up]
        self.given_up |= set(left[-1:])
        self.tracker.agreement.give_up_version()

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
        mixed = len({provenance.encoder for provenance in self.provenances.values()}) > 1
        assert self.tracker.agreement.mixed == mixed
        fits = {
            chunk
            for chunk, provenance in self.provenances.items()
            if self.wanted(provenance) and not (mixed and provenance.encoder)
        }
        missing = [i for i in range(len(self.counts)) if i not in fits]
        assert {i for i in range(len(self.counts)) if self.tracker.has(i)} == {
            i for i in range(len(self.counts)) if i in fits
        }
        assert self.tracker.complete == (self.sealed and not missing)
        assert self.tracker.missing() == (missing if self.sealed else [])
        assert self.tracker.chunks == len(self.announced)
        assert self.tracker.frames == sum(self.announced.values())


TestCompleteness = CompletenessMachine.TestCase
TestCompleteness.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
