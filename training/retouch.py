r"""Changes a trained style without training: where its strokes run, how strong they are, whose.

::

    python -m training.retouch shared/styles/great-wave.onnx --turn 13=1 --gain 1.1
    python -m training.retouch my-style.onnx --mix shared/styles/starry-night.onnx=0.15

Styles of one trunk learn to lay their strokes along the same waves of the canvas, so that a sky has
one flow in all of them. What a network makes of a wave hardly depends on the wave's direction:
``--turn`` gives the waves of one length each other's weights, so many directions further round.
``--mix`` moves all weights a little towards another style's, which calms what training has
exaggerated. Look at what comes out, and measure it: `training.evaluate`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from shared.styles.gallery import Card
from training.canvas import PLANES
from training.export import read_network, write_style
from training.network import StyleNetwork
from training.runtime import metadata


def turn(network: StyleNetwork, length: float, places: int) -> None:
    """Lay what the canvas's waves of ``length`` pixels make along those ``places`` further on.

    Raises:
        ValueError: the canvas has no waves of this length.
    """
    planes = [number for number, plane in enumerate(PLANES) if plane.length == length]
    if not planes:
        lengths = sorted({plane.length for plane in PLANES})
        raise ValueError(f"the canvas has waves of {lengths} pixels, not of {length:g}")
    before = network.lay.weight.detach().clone()
    for number, plane in enumerate(planes):
        further = planes[(number + places) % len(planes)]
        # Every plane is laid twice, a quarter of a wave apart.
        for quarter in (0, len(PLANES)):
            network.lay.weight.data[:, further + quarter] = before[:, plane + quarter]


def strengthen(network: StyleNetwork, gain: float) -> None:
    """Lay the whole canvas ``gain`` times as strongly."""
    network.lay.weight.data *= gain


def mix(network: StyleNetwork, other: StyleNetwork, share: float) -> None:
    """Make ``share`` of the weights those of another style of the same trunk."""
    with torch.no_grad():
        for weights, others in zip(network.parameters(), other.parameters(), strict=True):
            weights.lerp_(others, share)


def main() -> None:
    """Rewrite a style's network, its fp16 variant and its card."""
    arguments = _arguments()
    network, trunk = read_network(arguments.style)
    for file, share in arguments.mix:
        other, line = read_network(Path(file))
        if line != trunk:
            raise SystemExit(
                f"{file} is not of the trunk of {arguments.style}: train it from there"
            )
        mix(network, other, share)
    for length, places in arguments.turn:
        turn(network, float(length), round(places))
    strengthen(network, arguments.gain)
    card = Card.model_validate_json(arguments.style.with_suffix(".json").read_bytes())
    write_style(
        network,
        arguments.style,
        card=card.model_dump(include={"title", "painter", "year", "licence"}),
        trunk=trunk,
        settings=json.loads(metadata(arguments.style)["settings"]),
    )


def _pair(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    return name, float(number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Change a trained style without training.")
    parser.add_argument("style", type=Path, metavar="STYLE.onnx", help="is rewritten, card and all")
    for name, form, what in (
        ("--turn", "LENGTH=PLACES", "waves of so many pixels, so many directions further round"),
        ("--mix", "STYLE.onnx=SHARE", "so much of another style of the same trunk"),
    ):
        parser.add_argument(name, type=_pair, action="append", default=[], metavar=form, help=what)
    parser.add_argument("--gain", type=float, default=1.0, help="strength of the canvas")
    return parser.parse_args()


if __name__ == "__main__":
    main()
