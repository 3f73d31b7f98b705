"""Compiled models are kept within bounds, and those at work never give way to others."""

from __future__ import annotations

from unittest.mock import sentinel

import numpy as np
import pytest

from shared.styles.gallery import Gallery
from stylizer.painting.bfloat16 import is_supported
from stylizer.painting.compiled import Compiled, Shelf
from stylizer.painting.engine import OnnxEngine

MIB = 1 << 20


def compiled(model: object, mib: int = 100) -> Compiled:
    one = Compiled(model, sentinel.request)
    one.pixels = (mib - 8) * MIB // 50 + 1
    return one


def use(shelf: Shelf, *models: object) -> list[Compiled]:
    """Use models at the same time, and return those that were there."""
    there = [shelf.take(model) for model in models]
    for one, model in zip(there, models, strict=True):
        shelf.give_back(one or compiled(model))
    return [one for one in there if one is not None]


def test_as_many_are_kept_as_were_in_use_at_once() -> None:
    shelf = Shelf(spare=0)
    assert not use(shelf, *"aaaa")
    assert len(use(shelf, *"aaaa")) == 4
    # Others take the places of those that were used longest ago
    assert not use(shelf, *"bb")
    assert len(use(shelf, *"aabb")) == 4


def test_more_are_kept_while_there_is_room_for_them() -> None:
    shelf = Shelf(spare=250 * MIB)
    for model in "abcde":
        use(shelf, model)
    # One for the one that was in use, and two within the room
    assert [bool(use(shelf, model)) for model in "edc"] == [True] * 3
    assert not use(shelf, "b")


def test_one_that_has_failed_is_not_used_again() -> None:
    shelf = Shelf()
    use(shelf, "a")
    assert shelf.take("a") is not None
    shelf.give_back(None)
    assert shelf.take("a") is None


@pytest.mark.skipif(not is_supported(), reason="this processor does not compute in bfloat16")
def test_styles_in_bfloat16_are_painted_alike_whether_kept_or_compiled_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stylizer.painting.bfloat16.Shelf", lambda: Shelf(spare=0))
    engine = OnnxEngine(Gallery(), "cpu", precision="bf16")
    frames = np.random.default_rng(1).integers(0, 255, (1, 3, 96, 128), np.uint8)
    first, other = list(engine.styles)[:2]
    before = engine.paint(first, frames)
    engine.paint(other, frames)
    assert np.array_equal(engine.paint(first, frames), before)
