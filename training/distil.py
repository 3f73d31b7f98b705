r"""Teaches narrow networks to paint what the wide ones of their styles paint.

::

    python -m training.distil shared/styles --photos FOLDER -o narrow --steps 1200

The folder has wide networks of one trunk. A narrow one (`training.narrowing`) begins with half of
its style's channels, and learns to paint the same pictures (Hinton et al., "Distilling the
knowledge in a neural network", 2015). That takes a fraction of the time of training with a
painting: no other network looks at the pictures. Narrow networks have a trunk of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from shared.styles.gallery import Card
from training.data import Crops, pictures_in, seeded
from training.export import read_network, write_style
from training.narrowing import Moments, choose_channels, measure_blocks, narrowed
from training.network import MULTIPLE, StyleNetwork
from training.runtime import metadata
from training.trainer import CANVAS_EXTENT, one_cycle

_BATCH: Final = 4
_SIDE: Final = 160
_RATE: Final = 2e-3
_LIMIT: Final = 1.0
_NOISE: Final = 0.02
_BEYOND: Final = 0.02
"""How far beyond black and white the wide network's colours are imitated: both become bytes."""

_MEASURED: Final = 16
_MEASURED_SIDE: Final = 256
_REPORT_EVERY: Final = 100
_SEED: Final = 1


def places(number: int, chance: torch.Generator) -> Tensor:
    """Return random places on the canvas (N, 2), in pixels."""
    return CANVAS_EXTENT * torch.rand(number, 2, generator=chance)


def measure(network: StyleNetwork, photos: list[Path]) -> list[Moments]:
    """Return the moments of a network's blocks over crops of photographs."""
    crops = Crops(photos, size=_MEASURED_SIDE, seed=_SEED)
    return measure_blocks(
        network,
        ((crops[index][None], places(1, seeded(_SEED, index))) for index in range(_MEASURED)),
    )


def distil(
    wide: StyleNetwork, narrow: StyleNetwork, photos: list[Path], steps: int
) -> Iterator[float]:
    """Train ``narrow`` in place, and yield the loss of each step."""
    crops = Crops(photos, size=_SIDE, seed=_SEED)
    optimiser = torch.optim.Adam(narrow.parameters(), lr=_RATE)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * one_cycle(step / steps)
        chance = seeded(_SEED, step)
        pictures = torch.stack([crops[_BATCH * step + number] for number in range(_BATCH)])
        if step % 2:
            pictures = _with_noise(pictures, chance)
        canvas = places(_BATCH, chance)
        with torch.no_grad():
            wanted = wide.paint_whole(pictures, canvas).clamp(-_BEYOND, 1 + _BEYOND)
        loss = _difference(narrow.paint_whole(pictures, canvas), wanted)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(narrow.parameters(), _LIMIT)
        optimiser.step()
        narrow.level()
        yield loss.item()


def _with_noise(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """Add up to 5 levels of noise, because a network is steady only for what it has seen."""
    strength = _NOISE * torch.rand(len(pictures), 1, 1, 1, generator=chance)
    return (pictures + strength * torch.randn(pictures.shape, generator=chance)).clamp(0, 1)


def _difference(painted: Tensor, wanted: Tensor) -> Tensor:
    """Compare pixels, and the colours of cells, which the eye sees from further away."""
    error = painted - wanted
    cells = F.avg_pool2d(error, MULTIPLE)
    return error.abs().mean() + 10 * error.square().mean() + cells.abs().mean()


def main() -> None:
    """Distil all networks of a folder, or those that are named."""
    arguments = _arguments()
    torch.set_num_threads(1)
    files = sorted(path for path in arguments.styles.glob("*.onnx") if "." not in path.stem)
    networks, trunks = zip(*map(read_network, files), strict=True) if files else ((), ())
    if len(set(trunks)) != 1:
        raise SystemExit(
            f"{arguments.styles}: it must hold networks of one trunk, not {len(set(trunks))}"
        )
    names = arguments.name or [file.stem for file in files]
    if missing := set(names) - {file.stem for file in files}:
        raise SystemExit(f"{arguments.styles}: it has no {', '.join(sorted(missing))}")
    photos = pictures_in(arguments.photos)
    moments = [measure(network, photos) for network in networks]
    kept = choose_channels(networks, moments)
    trunk = hashlib.sha256(json.dumps([trunks[0], kept]).encode()).hexdigest()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for file, wide, read in zip(files, networks, moments, strict=True):
        if file.stem in names:
            narrow = narrowed(wide, read, kept)
            _report(file.stem, distil(wide, narrow, photos, arguments.steps), arguments.steps)
            _write(narrow, file, arguments.output, trunk)


def _report(name: str, losses: Iterator[float], steps: int) -> None:
    """Run all steps, and print the mean loss of every hundred."""
    recent: list[float] = []
    for step, loss in enumerate(losses, start=1):
        recent.append(loss)
        if step % _REPORT_EVERY == 0 or step == steps:
            mean = sum(recent) / len(recent)
            print(f"{name}: step {step} of {steps}, loss {mean:.4f}", flush=True)
            recent.clear()


def _write(narrow: StyleNetwork, wide: Path, folder: Path, trunk: str) -> None:
    """Write a style into a folder, with the card and the settings of the wide one's file."""
    card = Card.model_validate_json(wide.with_suffix(".json").read_bytes())
    write_style(
        narrow,
        folder / wide.name,
        card=card.model_dump(include={"title", "painter", "year", "licence"}),
        trunk=trunk,
        settings=json.loads(metadata(wide)["settings"]),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make narrow networks of wide ones.")
    parser.add_argument("styles", type=Path, help="folder of wide networks of one trunk")
    parser.add_argument("--photos", type=Path, required=True, help="folder to learn from")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--steps", type=int, default=1200, help="for each network")
    parser.add_argument("--name", action="append", help="not all, but this; repeatable")
    return parser.parse_args()


if __name__ == "__main__":
    main()
