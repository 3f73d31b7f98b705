"""Finds the faults of a style, by running each of its networks, before a video shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from shared.contracts.errors import StyleError
from shared.styles.gallery import Precision, Style
from stylizer.painting.interpolation import TRUNK
from stylizer.painting.sessions import Sessions

_SHAPES: Final = ((1, 3, 16, 16), (2, 3, 36, 52))


def find_faults(style: Style) -> Iterator[str]:
    """Yield one sentence for each fault of a style's networks, in every precision it has."""
    sessions = Sessions("cpu", None)
    for precision in style.precisions:
        try:
            yield from _faults(style, precision, sessions)
        except StyleError as error:
            yield error.message


def _faults(style: Style, precision: Precision, sessions: Sessions) -> Iterator[str]:
    network = style.network(precision)
    session = sessions.open(style.name, network)
    which = f"style {style.name!r}: its {precision} network"
    for shape in _SHAPES:
        try:
            given = (np.zeros(shape, np.uint8), np.zeros((1, 2), np.int32))
            names = [each.name for each in session.get_inputs()]
            (painted,) = session.run(None, dict(zip(names, given, strict=False)))
        except Exception as error:  # ONNX Runtime raises its own classes, without a common root
            yield f"{which} fails on frames {shape}: {error}"
            return
        if painted.shape != shape:
            yield f"{which} makes {painted.shape} of frames {shape}"
    trunk = session.get_modelmeta().custom_metadata_map.get(TRUNK)
    if trunk != style.card.trunk:
        yield f"{which} names the trunk {trunk}, its card {style.card.trunk}"
