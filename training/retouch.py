r"""Changes a trained style without training: its strokes, whose weights it has, its colours.

::

    python -m training.retouch shared/styles/great-wave.onnx --turn 13=1 --gain 1.1
    python -m training.retouch my-style.onnx --wave 13=0.4 --wave 38=2.5
    python -m training.retouch my-style.onnx --mix shared/styles/starry-night.onnx=0.15
    python -m training.retouch my-style.onnx --colours painting.jpg --strength 0.8 --photos FOLDER

Styles of one trunk learn to lay their strokes along the same waves of the canvas, so that a sky has
one flow in all of them. What a network makes of a wave hardly depends on the wave's direction:
``--turn`` gives the waves of one length each other's weights, so many directions further round.
``--wave`` changes how strongly waves of one length are laid: less of the short ones and more of the
long ones make fewer, longer strokes.
``--mix`` moves all weights a little towards another style's, which calms what training has
exaggerated. A style trained to be steady and to keep the light of photographs has less contrast
and paler colours than its painting: ``--colours`` gives its palette the painting's mean and
covariance, or so much of the way there. The colours of a picture are mapped linearly, so the last
convolution takes the map in, and painting costs what it did.

Look at what comes out, and measure it: `training.evaluate`.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor

from shared.styles.gallery import Card
from training.canvas import PLANES
from training.data import PAINTED_SIDE, pictures_in, read_picture
from training.export import read_network, write_style
from training.gates import CANVASES, EVENNESS
from training.graph import build
from training.looks import evenness
from training.network import MULTIPLE, StyleNetwork
from training.runtime import metadata, painter

GAINS: Final = tuple(tenths / 10 for tenths in range(10, 21))
"""How many times as strongly `lay_evenly` may lay the canvas."""

_QUARTERS: Final = (0, len(PLANES))
"""Where the two halves of `lay` begin: every plane is laid twice, a quarter of a wave apart."""


def turn(network: StyleNetwork, length: float, places: int) -> None:
    """Lay what the canvas's waves of ``length`` pixels make along those ``places`` further on.

    Raises:
        ValueError: the canvas has no waves of this length.
    """
    planes = _planes(length)
    before = network.lay.weight.detach().clone()
    for number, plane in enumerate(planes):
        further = planes[(number + places) % len(planes)]
        for quarter in _QUARTERS:
            network.lay.weight.data[:, further + quarter] = before[:, plane + quarter]


def strengthen(network: StyleNetwork, gain: float, length: float | None = None) -> None:
    """Lay the canvas ``gain`` times as strongly: all of it, or its waves of ``length`` pixels.

    Raises:
        ValueError: the canvas has no waves of this length.
    """
    for plane in range(len(PLANES)) if length is None else _planes(length):
        for quarter in _QUARTERS:
            network.lay.weight.data[:, plane + quarter] *= gain


def lay_evenly(network: StyleNetwork) -> float:
    """Lay the canvas just strongly enough that walls have strokes everywhere; return the gain.

    It is the least of `GAINS` with which `EVENNESS` holds at each of `CANVASES`, or the greatest.
    """
    gain = next((gain for gain in GAINS if _is_even(network, gain)), GAINS[-1])
    strengthen(network, gain)
    return gain


def _is_even(network: StyleNetwork, gain: float) -> bool:
    tried = copy.deepcopy(network)
    strengthen(tried, gain)
    model = build(tried).SerializeToString()
    return all(EVENNESS.holds(evenness(painter(model, canvas=place))) for place in CANVASES)


def _planes(length: float) -> list[int]:
    planes = [number for number, plane in enumerate(PLANES) if plane.length == length]
    if not planes:
        lengths = sorted({plane.length for plane in PLANES})
        raise ValueError(f"the canvas has waves of {lengths} pixels, not of {length:g}")
    return planes


def mix(network: StyleNetwork, other: StyleNetwork, share: float) -> None:
    """Make ``share`` of the weights those of another style of the same trunk."""
    with torch.no_grad():
        for weights, others in zip(network.parameters(), other.parameters(), strict=True):
            weights.lerp_(others, share)


@dataclass(frozen=True, slots=True)
class Palette:
    """The mean (3) and the covariance (3, 3) of colours, RGB, 0..1, in double precision."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, pictures: Iterable[Tensor]) -> Self:
        """Measure pictures (3, H, W) together, in cells of four pixels, as training does."""
        cells = [F.avg_pool2d(picture.double(), MULTIPLE).flatten(1) for picture in pictures]
        colours = torch.cat(cells, dim=1)
        return cls(colours.mean(1), colours.cov())

    def towards(self, other: Palette, strength: float) -> tuple[Tensor, Tensor]:
        """Return the matrix (3, 3) and offset (3) that bring colours nearer to another palette.

        At a strength of 1 it is the linear map that gives colours the other's mean and covariance
        while it moves them least (Pitie and Kokaram, CVMP 2007); at 0 it changes nothing.
        """
        root = _square_root(self.covariance)
        back = torch.linalg.inv(root)
        whole = back @ _square_root(root @ other.covariance @ root) @ back
        matrix = torch.lerp(torch.eye(3, dtype=whole.dtype), whole, strength)
        return matrix, torch.lerp(self.mean, other.mean, strength) - matrix @ self.mean


def _square_root(symmetric: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def palette_of(network: StyleNetwork, photos: list[Path]) -> Palette:
    """Return the palette of what a network paints of photographs."""
    return Palette.of(_painted(network, photo) for photo in photos)


def _painted(network: StyleNetwork, photo: Path) -> Tensor:
    picture = read_picture(photo, PAINTED_SIDE)
    height, width = (length // MULTIPLE * MULTIPLE for length in picture.shape[1:])
    with torch.no_grad():
        return network.paint_whole(picture[None, :, :height, :width])[0]


def recolour(network: StyleNetwork, matrix: Tensor, offset: Tensor) -> None:
    """Map all colours that a network paints: ``matrix`` (3, 3) times a colour, plus ``offset``."""
    assert network.paint.bias is not None
    for weights, added in ((network.paint.weight, 0), (network.paint.bias, offset[:, None])):
        # The last convolution makes four pixels of each colour.
        colours = weights.data.unflatten(0, (3, 4)).double()
        weights.data = (
            (torch.einsum("oc,c...->o...", matrix, colours) + added).flatten(0, 1).float()
        )


def main() -> None:
    """Rewrite a style's network, its fp16 variant and its card."""
    arguments = _arguments()
    network, trunk = read_network(arguments.style)
    settings = json.loads(metadata(arguments.style)["settings"])
    for file, share in arguments.mix:
        other, line = read_network(Path(file))
        if line != trunk:
            raise SystemExit(
                f"{file} is not of the trunk of {arguments.style}: train it from there"
            )
        mix(network, other, share)
    for length, places in arguments.turn:
        turn(network, float(length), round(places))
    for length, gain in arguments.wave:
        strengthen(network, gain, float(length))
    strengthen(network, arguments.gain)
    if arguments.colours is not None:
        torch.set_num_threads(1)
        painting = read_picture(arguments.colours, settings["style_size"])
        painted = palette_of(network, pictures_in(arguments.photos))
        recolour(network, *painted.towards(Palette.of([painting]), arguments.strength))
    card = Card.model_validate_json(arguments.style.with_suffix(".json").read_bytes())
    write_style(
        network,
        arguments.style,
        card=card.model_dump(include={"title", "painter", "year", "licence"}),
        trunk=trunk,
        settings=settings,
    )


def _pair(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    return name, float(number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Change a trained style without training.")
    parser.add_argument("style", type=Path, metavar="STYLE.onnx", help="is rewritten, card and all")
    for name, form, what in (
        ("--turn", "LENGTH=PLACES", "waves of so many pixels, so many directions further round"),
        ("--wave", "LENGTH=GAIN", "waves of so many pixels, so many times as strong"),
        ("--mix", "STYLE.onnx=SHARE", "so much of another style of the same trunk"),
    ):
        parser.add_argument(name, type=_pair, action="append", default=[], metavar=form, help=what)
    parser.add_argument("--gain", type=float, default=1.0, help="strength of the canvas")
    parser.add_argument("--colours", type=Path, metavar="PAINTING", help="give it these colours")
    parser.add_argument("--strength", type=float, default=1.0, help="so much of the way there")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="its colours are measured on")
    arguments = parser.parse_args()
    if arguments.colours is not None and arguments.photos is None:
        parser.error("--colours needs --photos: photographs like those that the style will paint")
    return arguments


if __name__ == "__main__":
    main()
