r"""Trains the lean network and the reference network alike, and compares the results.

::

    python -m training.comparison --painting FILE --content DIR --photos DIR --features FILE \
        --folder DIR --steps 400 --document docs/styles/README.md

Both start with random weights and get the same crops, losses and steps. ``--content`` has the
photographs to train on, ``--photos`` those to judge by. A step of the reference network takes
seconds; an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch

from training.data import pictures_in, read_picture
from training.features import Features
from training.losses import style_statistics
from training.network import StyleNetwork
from training.quality import Judge, floats, held_out
from training.reference import ReferenceNetwork
from training.tables import Rows, markdown, with_table
from training.trainer import Network, Plan, train

_NETWORKS: Final[dict[str, type[Network]]] = {"lean": StyleNetwork, "reference": ReferenceNetwork}


def main() -> None:
    """Train and judge both, and write the table into its section of the document."""
    arguments = _arguments()
    torch.set_num_threads(1)
    document: Path = arguments.document
    table = comparison_table(
        Plan(steps=arguments.steps, size=arguments.size),
        painting=arguments.painting,
        photos=pictures_in(arguments.content),
        judged=pictures_in(arguments.photos),
        features=Features(arguments.features, torch.device("cpu")),
        folder=arguments.folder,
    )
    text = document.read_text(encoding="utf-8")
    document.write_text(with_table(text, "comparison", table), encoding="utf-8")


def comparison_table(
    plan: Plan,
    *,
    painting: Path,
    photos: list[Path],
    judged: list[Path],
    features: Features,
    folder: Path,
) -> str:
    """Return the results of both networks after the same steps."""
    wanted = style_statistics(read_picture(painting, plan.style_size)[None], features)
    judge, pictures = Judge(wanted, features), held_out(judged)
    rows: Rows = [("network", "weights", "style", "content", "total")]
    for name, make in _NETWORKS.items():
        torch.manual_seed(plan.seed)
        network = make()
        train(
            plan,
            network,
            painting=painting,
            photos=photos,
            features=features,
            folder=folder / name,
            device=torch.device("cpu"),
        )
        with torch.no_grad():
            painted = [network.paint_whole(floats(picture)).clamp(0, 1) for picture in pictures]
        reached = judge.median(zip(painted, pictures, strict=True))
        weights = sum(weights.numel() for weights in network.parameters())
        losses = (reached.style, reached.content, reached.total(plan))
        rows.append((name, f"{weights:,}", *(f"{loss:.2f}" for loss in losses)))
    return (
        f"{markdown(rows)}\n{plan.steps} steps each on crops of {plan.size} pixels; "
        f"{len(judged)} photographs.\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the lean and the reference network.")
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--content", type=Path, required=True, help="photographs to train on")
    parser.add_argument("--photos", type=Path, required=True, help="photographs to judge by")
    parser.add_argument("--features", type=Path, required=True, help="VGG19's weights")
    parser.add_argument("--folder", type=Path, required=True, help="of the checkpoints")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--size", type=int, default=Plan().size, help="pixels of a crop's side")
    parser.add_argument("--document", type=Path, default=Path("docs/styles/README.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
