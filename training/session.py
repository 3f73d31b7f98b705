"""One style from painting to files: what is needed is fetched, trained, recorded and exported."""

from __future__ import annotations

import itertools
import json
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from shared.contracts.errors import ConfigurationError
from shared.styles.gallery import Card
from training.data import LEAST_SIDE, choose, pictures_in, read_picture
from training.export import read_network, write_style
from training.features import Features, features_file, quickest_kind
from training.network import MULTIPLE, StyleNetwork
from training.plot import draw_curve
from training.retouch import lay_evenly
from training.trainer import CHECKPOINT_EVERY, Plan, Progress, train

_LONGEST: Final = 16
_PREVIEWS: Final = 3
_PREVIEW_HEIGHT: Final = 288
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Commission:
    """What a user wants painted: one style, from ``painting`` to ``output``.

    ``start`` is the network to begin with. ``card`` holds title, painter, year and licence.
    """

    painting: Path
    content: Path
    start: Path
    output: Path
    card: dict[str, Any]
    plan: Plan
    device: str = "cpu"
    features: Path | None = None

    @property
    def folder(self) -> Path:
        """Where checkpoint, previews and record lie while and after the style is trained."""
        return self.output.with_suffix(".training")


def find_problems(commission: Commission) -> list[str]:
    """Return one sentence for each thing that cannot work, found before the first step."""
    problems = [
        f"{path}: {'not a file' if path.exists() else 'no such file'}"
        for path in (commission.painting, commission.start, commission.features)
        if path is not None and not path.is_file()
    ]
    if not commission.content.is_dir():
        problems.append(f"--content {commission.content}: no such folder")
    output = commission.output
    if output.suffix != ".onnx" or not _NAME.fullmatch(output.stem):
        problems.append(
            f"-o {output}: a style's file is NAME.onnx, NAME of lower-case letters, digits and "
            "hyphens"
        )
    if not output.absolute().parent.is_dir():
        problems.append(f"-o {output}: there is no folder {output.absolute().parent}")
    if commission.device == "cuda" and not torch.cuda.is_available():
        problems.append("--device cuda: PyTorch finds no GPU here")
    return problems


def carry_out(
    commission: Commission,
    report: Callable[[Progress], None],
    notice: Callable[[str], None] = lambda _: None,
) -> Card:
    """Train the style, from its last checkpoint if there is one, and write its files.

    ``report`` is called for each photograph that is looked at, and then for every step; what it
    raises ends the training. ``notice`` is called with a sentence about each photograph that cannot
    be used.

    Raises:
        ConfigurationError: naming every thing that cannot work.
        StyleError: ``start`` is not a network that training can continue from.
    """
    if problems := find_problems(commission):
        raise ConfigurationError(problems)
    _check_painting(commission.painting)

    def look(problem: str) -> None:
        if problem:
            notice(f"left out: {problem}")
        report(Progress())

    photos = choose(pictures_in(commission.content), look)
    shown = photos[:: max(1, len(photos) // _PREVIEWS)][:_PREVIEWS]
    network, trunk = read_network(commission.start)
    device = torch.device(commission.device)
    features = Features(commission.features or features_file(photos), device, quickest_kind(device))
    commission.folder.mkdir(exist_ok=True)
    spent = [time.process_time()]

    def look_and_report(progress: Progress) -> None:
        spent.append(time.process_time())
        if progress.step % CHECKPOINT_EVERY == 0:
            preview = paint_previews(network, shown, device)
            preview.save(commission.folder / f"preview-{progress.step:05d}.png")
        report(progress)

    progress = train(
        commission.plan,
        network,
        painting=commission.painting,
        photos=photos,
        features=features,
        folder=commission.folder,
        device=device,
        report=look_and_report,
    )
    gain = lay_evenly(network.cpu())
    settings = commission.plan.model_dump()
    record = {
        "settings": settings,
        "trunk": trunk,
        "gain": gain,
        "photos": len(photos),
        "cpu_s_per_step": _median_step(spent),
        "curve": progress.curve,
    }
    (commission.folder / "record.json").write_text(_compact(record))
    draw_curve(progress.curve, commission.folder / "curve.png")
    return write_style(
        network,
        commission.output,
        card=commission.card,
        trunk=trunk,
        settings=settings,
    )


def _median_step(spent: list[float]) -> float | None:
    """Return the processor time of a step, in seconds; nothing if none was taken."""
    steps = [after - before for before, after in itertools.pairwise(spent)]
    return round(statistics.median(steps), 3) if steps else None


def _check_painting(painting: Path) -> None:
    """See that the painting can be trained with before anything large is fetched for its sake."""
    height, width = read_picture(painting, LEAST_SIDE).shape[1:]
    if max(height, width) > _LONGEST * LEAST_SIDE:
        raise ConfigurationError(
            [
                f"{painting} is more than {_LONGEST} times as long as it is wide: cut out the part "
                "whose strokes you want"
            ]
        )


def paint_previews(network: StyleNetwork, photos: list[Path], device: torch.device) -> Image.Image:
    """Return the photographs as the network paints them now, side by side."""
    painted = []
    for path in photos:
        picture = read_picture(path, _PREVIEW_HEIGHT)[:, :_PREVIEW_HEIGHT]
        width = picture.shape[2] // MULTIPLE * MULTIPLE
        with torch.no_grad():
            whole = network.paint_whole(picture[None, :, :, :width].to(device))
            painted.append(whole[0].clamp(0, 1).cpu())
    row = torch.cat(painted, dim=2)
    return Image.fromarray((row * 255).round().byte().permute(1, 2, 0).numpy())


def _compact(record: dict[str, Any]) -> str:
    """Return the record as JSON, one point of the curve a line."""
    curve = ",\n  ".join(json.dumps(point) for point in record["curve"])
    head = json.dumps({name: part for name, part in record.items() if name != "curve"}, indent=1)
    return f'{head[:-2]},\n "curve": [\n  {curve}\n ]\n}}\n'
