"""Trains one style: improves a network step by step until its pictures look like the painting.

A run is a pure function of its plan, its pictures and its initial weights: the random numbers of
each step depend only on the seed and the step's number, so an interrupted run continues from its
last checkpoint as if nothing had happened.

All losses leave out the crop's border. Zero padding tells a network where the picture ends, and if
the border counted, it would learn to satisfy the style loss there, with a band of sky along every
edge.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import Field
from torch import Tensor

from shared.contracts.values import Value
from training.coherence import coherence_loss, coherences
from training.data import Crops, read_picture, seeded
from training.density import densities, density_loss
from training.features import Features
from training.losses import (
    Lately,
    Statistics,
    border_loss,
    content_losses,
    contents,
    difference,
    grid_loss,
    hue_loss,
    local_loss,
    luma_loss,
    measure,
    range_loss,
    style_loss,
    style_statistics,
    variation_loss,
    views,
)
from training.network import MULTIPLE, RIM, StyleNetwork, inner
from training.reference import ReferenceNetwork

CHECKPOINT_EVERY: Final = 100
CANVAS_EXTENT: Final = 4096.0
"""Pictures are placed on so many pixels of the canvas, down and across."""

_CURVE_EVERY: Final = 10
_WARM_UP: Final = 0.05
_GRADIENT_LIMIT: Final = 5.0
_LARGEST_SHIFT: Final = 3
_NOISE: Final = 0.025

Network = StyleNetwork | ReferenceNetwork

_Paint = Callable[[Tensor, Tensor], Tensor]


class Plan(Value):
    """Everything that determines how a style is trained, except its pictures."""

    steps: int = Field(default=1500, gt=0, description="steps of training")
    batch: int = Field(default=1, gt=0, description="pictures a step")
    size: int = Field(default=192, description="pixels of a crop's side that count")
    part: int = Field(
        default=96, description="side of the parts looked at in full size, and painted again"
    )
    style_size: int = Field(default=384, description="painting's short side; more: larger strokes")
    rate: float = Field(default=1e-3, description="highest learning rate")
    style: float = 1.0
    local: float = Field(default=0.5, description="the painting's texture in every window")
    coherence: float = Field(default=1.5, description="strokes as long as the painting's")
    density: float = Field(default=0.0, description="edges as rare as the painting's")
    lately: float = Field(
        default=0.5, gt=0, le=1, description="a crop's share in what is compared with the painting"
    )
    content: float = Field(default=1.0, description="less: more abstract")
    luma: float = Field(default=3.0, description="light stays light, dark stays dark")
    hue: float = Field(default=0.5, description="colours stay where they are")
    variation: float = 0.1
    bounds: float = 10.0
    grid: float = Field(default=20.0, description="nothing comes again every four pixels")
    steady: float = Field(default=5.0, description="like paint for a shifted or noisy picture")
    steady_end: float = Field(default=15.0, description="the same at the end")
    border: float = Field(default=30.0, description="like paint where the picture ends")
    seed: int = 0


@dataclass(slots=True)
class Progress:
    """The progress of a run: its step, and its losses so far, as means of ten steps."""

    step: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


def train(  # noqa: PLR0913 - a run is made of these
    plan: Plan,
    network: Network,
    *,
    painting: Path,
    photos: list[Path],
    features: Features,
    folder: Path,
    device: torch.device,
    report: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Train ``network`` in place, from the last checkpoint in ``folder`` if there is one.

    ``report`` is called after every step; what it raises ends the run.
    """
    checkpoint = _Checkpoint(folder / "checkpoint.pt", _identity(plan, network, painting, photos))
    run = _Run(plan, network, painting, photos, features, device)
    progress = checkpoint.restore(network, run.optimiser, run.lately)
    window: list[dict[str, float]] = []
    for step in range(progress.step, plan.steps):
        window.append(run.step(step))
        progress.step = step + 1
        if progress.step % _CURVE_EVERY == 0 or progress.step == plan.steps:
            progress.curve.append({"step": progress.step, **_means(window)})
            window.clear()
        if progress.step % CHECKPOINT_EVERY == 0 or progress.step == plan.steps:
            checkpoint.save(network, run.optimiser, run.lately, progress)
        report(progress)
    return progress


class _Run:
    def __init__(
        self,
        plan: Plan,
        network: Network,
        painting: Path,
        photos: list[Path],
        features: Features,
        device: torch.device,
    ) -> None:
        self._plan = plan
        self._network = network.to(device, memory_format=torch.channels_last)
        self._features = features
        self._device = device
        picture = read_picture(painting, plan.style_size)[None].to(device)
        self._wanted: dict[str, Statistics] = style_statistics(picture, features)
        self._coherences, self._densities = coherences(picture), densities(picture)
        self.lately = Lately(plan.lately)
        self._crops = Crops(photos, size=plan.size + 2 * RIM + MULTIPLE, seed=plan.seed)
        self.optimiser = torch.optim.Adam(
            network.parameters(), lr=plan.rate, betas=(0.9, 0.99), fused=True
        )

    def step(self, step: int) -> dict[str, float]:
        """Take one step, or none if a loss is not a number; return its weighted losses by name."""
        plan = self._plan
        chance = seeded(plan.seed, step)
        crops = [self._crops[step * plan.batch + i] for i in range(plan.batch)]
        losses = self._losses(torch.stack(crops).to(self._device), step, chance)
        for group in self.optimiser.param_groups:
            group["lr"] = plan.rate * one_cycle(step / plan.steps)
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.stack(list(losses.values())).sum()
        if math.isfinite(float(total.detach())):
            total.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), _GRADIENT_LIMIT)
            self.optimiser.step()
            self._network.level()
        told = {name: float(loss.detach()) for name, loss in losses.items()}
        return {name: loss for name, loss in told.items() if math.isfinite(loss)}

    def _losses(self, wide: Tensor, step: int, chance: torch.Generator) -> dict[str, Tensor]:
        plan = self._plan
        crop = wide[..., :-MULTIPLE, :-MULTIPLE]
        pictures = inner(crop, RIM)
        # Any fraction of a pixel, so that strokes can later follow a camera.
        canvas = (CANVAS_EXTENT * torch.rand(plan.batch, 2, generator=chance)).to(self._device)
        painted = inner(self._paint(crop, canvas), RIM)
        seen = views(painted, self._features, self._square(plan.part, chance))
        measured = measure(seen, self._wanted)
        content = contents(pictures, self._features)
        losses = {
            "style": plan.style * style_loss(measured, self._wanted, self.lately),
            "local": plan.local * local_loss(measured, self._wanted),
            "coherence": plan.coherence * coherence_loss(painted, self._coherences),
            "density": plan.density * density_loss(painted, self._densities),
            "content": plan.content * content_losses(seen, content, self._wanted),
            "luma": plan.luma * luma_loss(painted, pictures),
            "hue": plan.hue * hue_loss(painted, pictures),
            "variation": plan.variation * variation_loss(painted),
            "bounds": plan.bounds * range_loss(painted),
            "grid": plan.grid * grid_loss(painted),
            "border": plan.border * self._border_loss(pictures, painted, canvas, chance),
        }
        weight = plan.steady + (plan.steady_end - plan.steady) * step / plan.steps
        if step % 2:
            losses["shift"] = weight * self._shift_loss(wide, painted, canvas, chance)
        else:
            losses["noise"] = weight * self._noise_loss(wide, painted, canvas, chance)
        return losses

    def _paint(self, pictures: Tensor, canvas: Tensor, paint: _Paint | None = None) -> Tensor:
        """Paint with the network in the features' type of numbers; return float32.

        Channels are last in memory, with which its many small convolutions are fastest.
        """
        kind = self._features.kind
        beside = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, kind, enabled=kind != torch.float32):
            return (paint or self._network)(beside, canvas).float()

    def _square(self, side: int, chance: torch.Generator) -> tuple[slice, slice]:
        """Return the rows and columns of a square somewhere in the crop, on the network's grid."""
        places = max(1, (self._plan.size - side) // MULTIPLE + 1)
        top, left = (MULTIPLE * torch.randint(places, (2,), generator=chance)).tolist()
        return slice(top, top + side), slice(left, left + side)

    def _border_loss(
        self, pictures: Tensor, painted: Tensor, canvas: Tensor, chance: torch.Generator
    ) -> Tensor:
        """Compare a part that is painted alone with the same part of the painted crop."""
        part = self._square(self._plan.part, chance)
        place = canvas + RIM + self._place(*part)
        edged = self._paint(pictures[..., *part], place, self._network.paint_whole)
        return border_loss(edged, painted[..., *part].detach())

    def _noise_loss(
        self, wide: Tensor, painted: Tensor, canvas: Tensor, chance: torch.Generator
    ) -> Tensor:
        """Compare a painted part with the same part painted with noise."""
        rows, columns = self._square(self._plan.part, chance)
        crop = wide[..., rows.start : rows.stop + 2 * RIM, columns.start : columns.stop + 2 * RIM]
        noise = torch.randn(crop.shape, generator=chance) * _NOISE
        noisy = crop + noise.to(self._device)
        again = inner(self._paint(noisy, canvas + self._place(rows, columns)), RIM)
        return difference(again, painted[..., rows, columns])

    def _shift_loss(
        self, wide: Tensor, painted: Tensor, canvas: Tensor, chance: torch.Generator
    ) -> Tensor:
        """Compare a painted part with the same part after the camera and the canvas have moved."""
        moved = torch.randint(_LARGEST_SHIFT + 1, (2,), generator=chance).tolist()
        part = self._square(self._plan.part, chance)
        rows, columns = (
            slice(place.start + by, place.stop + by) for place, by in zip(part, moved, strict=True)
        )
        crop = wide[..., rows.start : rows.stop + 2 * RIM, columns.start : columns.stop + 2 * RIM]
        again = inner(self._paint(crop, canvas + self._place(rows, columns)), RIM)
        both = painted[..., rows, columns]
        return difference(again[..., : both.shape[-2], : both.shape[-1]], both)

    def _place(self, rows: slice, columns: slice) -> Tensor:
        """Return the place of a part, in pixels down and across."""
        return torch.tensor((rows.start, columns.start), device=self._device)


def one_cycle(done: float) -> float:
    """Return the share of the highest rate: a short warm-up, then half a cosine down to 1 %."""
    if done < _WARM_UP:
        return 0.1 + 0.9 * done / _WARM_UP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))) / 2


def _means(window: list[dict[str, float]]) -> dict[str, float]:
    names = {name for row in window for name in row}
    return {
        name: round(sum(values) / len(values), 5)
        for name in sorted(names)
        if (values := [row[name] for row in window if name in row])
    }


def _identity(plan: Plan, network: Network, painting: Path, photos: list[Path]) -> str:
    """Return a digest of everything that determines a run's result; checkpoints carry it."""
    digest = hashlib.sha256(plan.to_json())
    digest.update(painting.read_bytes())
    for weights in network.state_dict().values():
        digest.update(weights.cpu().numpy().tobytes())
    for photo in photos:
        digest.update(f"{photo.name} {photo.stat().st_size}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The saved state of a run; ``run`` is the run's identity."""

    file: Path
    run: str

    def save(
        self,
        network: Network,
        optimiser: torch.optim.Optimizer,
        lately: Lately,
        progress: Progress,
    ) -> None:
        state = {
            "run": self.run,
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "lately": lately.moments,
            "step": progress.step,
            "curve": json.dumps(progress.curve),
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed, so that a run killed here keeps its previous checkpoint.
        aside = self.file.with_suffix(".part")
        torch.save(state, aside)
        aside.replace(self.file)

    def restore(
        self, network: Network, optimiser: torch.optim.Optimizer, lately: Lately
    ) -> Progress:
        """Restore both from a checkpoint of the same run, if there is one."""
        if not self.file.exists():
            return Progress()
        state: dict[str, Any] = torch.load(
            self.file, weights_only=True, map_location=next(network.parameters()).device
        )
        if state.get("run") != self.run:
            return Progress()
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        lately.moments = state["lately"]
        return Progress(state["step"], json.loads(state["curve"]))
