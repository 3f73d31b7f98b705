"""Writes a style's network and card, and reads networks for further training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import onnx
from google.protobuf.message import DecodeError

from shared.contracts.errors import StyleError
from shared.styles.gallery import Card
from training.graph import build, read_weights
from training.network import StyleNetwork

_TRUNK: Final = "trunk"


def read_network(path: Path) -> tuple[StyleNetwork, str]:
    """Return a style's network and its trunk: the SHA-256 of its earliest ancestor's file.

    Raises:
        StyleError: the file is not a network of this kind.
    """
    try:
        data = path.read_bytes()
        model = onnx.load_from_string(data)
        network = read_weights(model)
    except (OSError, DecodeError, ValueError, KeyError) as error:
        raise StyleError(
            "NO_STYLE_NETWORK", f"{path} is not a network that training can continue from: {error}"
        ) from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return network, metadata.get(_TRUNK) or hashlib.sha256(data).hexdigest()


def write_style(
    network: StyleNetwork,
    path: Path,
    *,
    card: dict[str, Any],
    trunk: str,
    settings: dict[str, Any],
) -> Card:
    """Write ``path`` (``NAME.onnx``), its fp16 variant and its card; return the card.

    ``card`` has title, painter, year and licence.
    """
    said = {name: str(value) for name, value in card.items() if value is not None}
    said |= {_TRUNK: trunk, "settings": json.dumps(settings, sort_keys=True)}
    files = {
        path: build(network, metadata=said),
        path.with_suffix(".fp16.onnx"): build(network, precision="fp16", metadata=said),
    }
    digests = {}
    for file, model in files.items():
        data = model.SerializeToString(deterministic=True)
        file.write_bytes(data)
        digests[file] = hashlib.sha256(data).hexdigest()
    whole, fp16 = digests.values()
    written = Card(**card, trunk=trunk, sha256=whole, variants={"fp16": fp16})
    path.with_suffix(".json").write_text(written.model_dump_json(indent=2) + "\n")
    return written
