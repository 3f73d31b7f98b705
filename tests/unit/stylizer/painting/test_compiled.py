"""Compiled models are kept within a limit of memory, and those in use are never discarded."""

from __future__ import annotations

from unittest.mock import sentinel

import numpy as np
import pytest

from shared.styles.gallery import Gallery
from stylizer.painting.bfloat16 import is_supported
from stylizer.painting.compiled import Compiled, IdleModels
from stylizer.painting.engine import OnnxEngine

MIB = 1 << 20


def compiled(model: object, mib: int = 100) -> Compiled:
    one = Compiled(model, sentinel.request)
    one.pixels = (mib - 8) * MIB // 50 + 1
    return one


def use(idle_models: IdleModels, *models: object) -> list[Compiled]:
    """Use models at the same time, and return those that were there."""
    there = [idle_models.take(model) for model in models]
    for one, model in zip(there, models, strict=True):
        idle_models.give_back(one or compiled(model))
    return [one for one in there if one is not None]


def test_as_many_models_are_kept_as_were_in_use_at_once() -> None:
    idle_models = IdleModels(spare=0)
    assert not use(idle_models, *"aaaa")
    assert len(use(idle_models, *"aaaa")) == 4
    # Others take the places of those that were used longest ago
    assert not use(idle_models, *"bb")
    assert len(use(idle_models, *"aabb")) == 4


def test_more_models_are_kept_while_memory_allows() -> None:
    idle_models = IdleModels(spare=250 * MIB)
    for model in "abcde":
        use(idle_models, model)
    # One for the one that was in use, and two within the room
    assert [bool(use(idle_models, model)) for model in "edc"] == [True] * 3
    assert not use(idle_models, "b")


def test_idle_models_are_dropped_on_request_and_those_in_use_are_kept() -> None:
    idle_models = IdleModels()
    idle, in_use = object(), object()
    use(idle_models, idle, in_use)
    taken = idle_models.take(in_use)
    idle_models.drop()
    idle_models.give_back(taken)
    assert idle_models.take(idle) is None
    assert idle_models.take(in_use) is taken


def test_a_model_that_has_failed_is_not_used_again() -> None:
    idle_models = IdleModels()
    use(idle_models, "a")
    assert idle_models.take("a") is not None
    idle_models.give_back(None)
    assert idle_models.take("a") is None


@pytest.mark.skipif(not is_supported(), reason="this processor does not compute in bfloat16")
def test_styles_in_bfloat16_are_painted_alike_whether_kept_or_compiled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stylizer.painting.bfloat16.IdleModels", lambda: IdleModels(spare=0))
    engine = OnnxEngine(Gallery(), "cpu", precision="bf16")
    frames = np.random.default_rng(1).integers(0, 255, (1, 3, 96, 128), np.uint8)
    first, other = list(engine.styles)[:2]
    before = engine.paint(first, frames)
    engine.paint(other, frames)
    assert np.array_equal(engine.paint(first, frames), before)
