"""Completeness: whole exactly when every promised chunk is there with its promised frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import manifest

from assembler.agreement import Provenance
from assembler.completeness import Completeness
from shared.contracts.errors import ResultError


@given(st.lists(st.integers(1, 32), min_size=1, max_size=12), st.data())
def test_any_order_with_any_repeats_completes_exactly_with_the_last_piece(
    counts: list[int], data: st.DataObject
) -> None:
    steps: list[int | None] = [*range(len(counts)), None]  # None: the manifest arrives
    order = data.draw(st.permutations(steps))
    repeats = data.draw(st.lists(st.sampled_from(order), max_size=5))
    tracker = Completeness()
    seen: set[int | None] = set()
    for step in [*order, *repeats]:
        assert tracker.complete == (len(seen) == len(steps))
        if step is None:
            tracker.seal(manifest("j", counts))
        else:
            tracker.announce(step, counts[step], Provenance())
        seen.add(step)
    assert tracker.complete
    assert tracker.missing() == []
    assert tracker.frames == sum(counts)


def test_missing_chunks_are_named_in_order() -> None:
    tracker = Completeness()
    tracker.seal(manifest("j", [32, 32, 32, 5]))
    tracker.announce(2, 32, Provenance())
    assert tracker.missing() == [0, 1, 3]


@pytest.mark.parametrize(("chunk", "frames"), [(3, 4), (4, 5), (-1, 1)])
def test_a_segment_that_the_manifest_does_not_promise_is_refused(chunk: int, frames: int) -> None:
    early, late = Completeness(), Completeness()
    early.announce(chunk, frames, Provenance())
    late.seal(manifest("j", [32, 32, 32, 5]))
    with pytest.raises(ResultError):
        early.seal(manifest("j", [32, 32, 32, 5]))
    with pytest.raises(ResultError):
        late.announce(chunk, frames, Provenance())


def test_two_announcements_that_contradict_each_other_are_refused() -> None:
    tracker = Completeness()
    tracker.announce(0, 32, Provenance())
    with pytest.raises(ResultError, match="chunk 0"):
        tracker.announce(0, 31, Provenance())
