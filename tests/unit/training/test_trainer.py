"""A run is a pure function of its plan: it is repeatable, and interruptions leave no trace."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from training import trainer
from training.data import pictures_in, seeded
from training.features import Features
from training.network import RIM, StyleNetwork, inner
from training.trainer import Plan, Progress, train

PLAN = Plan(steps=6, size=32, part=32, style_size=48)

KINDS = (torch.float32, torch.bfloat16)

Run = Callable[..., tuple[StyleNetwork, Progress]]


class PowerCut(Exception):
    """The end of a run that nobody planned."""


@pytest.fixture
def run(photos: Path, painting: Path, features_file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Train a fresh network in a folder, with a checkpoint and a point of the curve a step."""
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(trainer, "_CURVE_EVERY", 1)

    def go(
        folder: Path,
        plan: Plan = PLAN,
        report: Callable[[Progress], None] = lambda _: None,
        painting: Path = painting,
        kind: torch.dtype = torch.float32,
    ) -> tuple[StyleNetwork, Progress]:
        torch.manual_seed(0)
        features = Features(features_file, torch.device("cpu"), kind)
        network = StyleNetwork()
        progress = train(
            plan,
            network,
            painting=painting,
            photos=pictures_in(photos),
            features=features,
            folder=folder,
            device=torch.device("cpu"),
            report=report,
        )
        return network, progress

    return go


def alike(one: StyleNetwork, other: StyleNetwork) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def distance(one: StyleNetwork, other: StyleNetwork) -> float:
    with torch.no_grad():
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        return float(torch.cat([(a - b).flatten() for a, b in pairs]).norm())


def test_the_same_plan_gives_the_same_network_and_another_seed_another(
    run: Run, tmp_path: Path
) -> None:
    one, progress = run(tmp_path / "one")
    assert [point["step"] for point in progress.curve] == [1, 2, 3, 4, 5, 6]
    assert alike(one, run(tmp_path / "same")[0])
    assert not alike(one, run(tmp_path / "other", PLAN.model_copy(update={"seed": 1}))[0])


def test_an_interrupted_run_continues_as_if_nothing_had_happened(run: Run, tmp_path: Path) -> None:
    whole, undisturbed = run(tmp_path / "whole")
    seen: list[int] = []

    def cut(progress: Progress) -> None:
        if progress.step == 5:
            raise PowerCut

    with pytest.raises(PowerCut):
        run(tmp_path / "cut", report=cut)
    resumed, progress = run(tmp_path / "cut", report=lambda p: seen.append(p.step))
    assert seen == [5, 6], "it must go on from the checkpoint of step 4"
    assert alike(whole, resumed)
    assert progress.curve == undisturbed.curve


@pytest.mark.parametrize("changed", ["plan", "painting"])
def test_another_run_does_not_continue_from_this_ones_checkpoint(
    run: Run, tmp_path: Path, photos: Path, changed: str
) -> None:
    run(tmp_path)
    seen: list[int] = []
    plan = PLAN.model_copy(update={"seed": 1}) if changed == "plan" else PLAN
    other = {"painting": photos / "0.png"} if changed == "painting" else {}
    run(tmp_path, plan, report=lambda p: seen.append(p.step), **other)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_training_brings_the_picture_nearer_to_the_painting(
    run: Run, tmp_path: Path, kind: torch.dtype
) -> None:
    plan = PLAN.model_copy(update={"steps": 30, "rate": 3e-3, "content": 0.1})
    curve = run(tmp_path, plan, kind=kind)[1].curve
    first, last = ([point["style"] for point in part] for part in (curve[:5], curve[-5:]))
    assert sum(last) < 0.8 * sum(first)


def test_a_trained_network_paints_a_flat_colour_flat_but_for_its_canvas(
    run: Run, tmp_path: Path
) -> None:
    network = run(tmp_path)[0]
    with torch.no_grad():
        network.lay.weight.zero_()
        painted = inner(network(torch.full((1, 3, 112, 112), 0.4)), RIM)
    assert (painted - painted[..., :1, :1]).abs().max() < 1e-4


def test_every_second_step_looks_at_noise_the_others_at_shifts_and_all_at_the_border(
    run: Run, tmp_path: Path
) -> None:
    curve = run(tmp_path)[1].curve
    assert ["noise" in point for point in curve] == [True, False] * 3
    assert ["shift" in point for point in curve] == [False, True] * 3
    assert all("border" in point for point in curve)


def test_training_in_bfloat16_leads_in_the_same_direction(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = StyleNetwork()
    exact, half = (run(tmp_path / str(kind), kind=kind)[0] for kind in KINDS)
    assert {weights.dtype for weights in half.parameters()} == {torch.float32}
    assert distance(exact, half) < 0.5 * distance(exact, start)


def test_asked_for_nothing_but_steadiness_it_becomes_steadier(run: Run, tmp_path: Path) -> None:
    steady = {"noise", "shift"}
    parts = {name for point in run(tmp_path / "any")[1].curve for name in point}
    nothing = dict.fromkeys(parts - steady - {"step"}, 0.0)
    plan = PLAN.model_copy(update={**nothing, "steps": 12, "rate": 3e-3})
    torch.manual_seed(0)
    changes = []
    for network in (StyleNetwork(), run(tmp_path, plan)[0]):
        picture = torch.rand(1, 3, 160, 160, generator=seeded(3))
        noise = 0.05 * torch.randn(picture.shape, generator=seeded(4))
        with torch.no_grad():
            changes.append(float((network(picture) - network(picture + noise)).abs().mean()))
    assert changes[1] < 0.7 * changes[0]


def test_a_plan_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        Plan(steps=0)
