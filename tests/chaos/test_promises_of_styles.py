"""What the checks accept, and do not accept, when styles are updated under open jobs."""

from __future__ import annotations

from dataclasses import replace

from histories import also, checkpoint, chunk_ready, event, good, segment, without

from chaos.history import History, Position
from chaos.promises import check


def repainted(*versions: str) -> History:
    """Chunk 0 is stored in one version of the style after another, chunk 1 in the last."""
    history = without(good(), segment(0, 4.0), segment(1, 5.0))
    how = [{"metadata": {"styles": v}, "sha256": v} for v in versions]
    first, *others = (segment(0, 4.0 + n / 10, **more) for n, more in enumerate(how))
    others = [replace(call, unless_exists=False, if_version=True) for call in others]
    return also(history, first, *others, segment(1, 5.0, **how[-1]))


def test_a_segment_painted_again_in_another_version_of_the_style_breaks_no_promise() -> None:
    assert check(repainted("a", "b")) == []
    wanted = chunk_ready(0).model_copy(update={"styles": "b"})
    sent = (*good().events, event("frames", 2, 20.0, wanted))
    places = (good().positions[0], Position("frames", "0", 2, 2), good().positions[2])
    history = also(repainted("a", "b"), checkpoint("frames", 2, 20.5))
    assert check(replace(history, events=sent, positions=places)) == []


def test_a_segment_is_not_replaced_by_one_of_the_same_version() -> None:
    assert {violation.promise for violation in check(repainted("a", "b", "b"))} == {"I2"}


def test_a_result_in_two_versions_of_a_style_breaks_a_promise() -> None:
    history = without(good(), segment(1, 5.0), segment(0, 4.0))
    mixed = (segment(n, 4.0 + n, metadata={"styles": styles}) for n, styles in enumerate("ab"))
    assert {violation.promise for violation in check(also(history, *mixed))} == {"ALIKE"}
