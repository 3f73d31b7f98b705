"""Styles of a later release: the same names with other networks."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from chaos.settings import STYLES
from shared.styles.gallery import Gallery
from stylizer.painting.interpolation import interpolate

_PERCENTS: Final = (60, 40)


async def updated_styles(folder: Path) -> Path:
    """Write each style of the runs, blended with another, to ``folder`` for ``STYLES_DIR``."""
    await asyncio.to_thread(_write, folder)
    return folder


def _write(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    gallery = Gallery()
    for name, other in zip(STYLES, (*STYLES[1:], STYLES[0]), strict=True):
        style = gallery.find(name)
        network = interpolate([style.network(), gallery.find(other).network()], _PERCENTS)
        digest = hashlib.sha256(network).hexdigest()
        card = style.card.model_copy(update={"sha256": digest, "variants": {}})
        (folder / f"{name}.onnx").write_bytes(network)
        (folder / f"{name}.json").write_bytes(card.to_json())
