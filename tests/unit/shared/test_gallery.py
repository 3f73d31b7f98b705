"""The gallery: bundled styles are what their cards say, and bad ones are refused by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from shared.errors import ConfigurationError, StyleError
from shared.styles.gallery import Gallery


def hang(folder: Path, name: str, network: bytes = b"network", **changes: object) -> None:
    card = {
        "title": "T",
        "painter": "P",
        "licence": "CC0",
        "sha256": hashlib.sha256(network).hexdigest(),
        **changes,
    }
    (folder / f"{name}.onnx").write_bytes(network)
    (folder / f"{name}.json").write_text(json.dumps(card))


def test_every_bundled_style_is_the_file_that_its_card_names() -> None:
    styles = Gallery().styles
    assert styles
    for style in styles.values():
        assert style.network()
        assert style.card.title
        assert style.card.licence


def test_an_unknown_style_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(StyleError, match="no style 'nope'.*starry-night") as refusal:
        Gallery().find("nope")
    assert refusal.value.code == "UNKNOWN_STYLE"


def test_a_users_folder_adds_styles(tmp_path: Path) -> None:
    hang(tmp_path, "my-own")
    assert Gallery(tmp_path).find("my-own").network() == b"network"


def test_a_network_that_was_changed_after_its_card_was_made_is_refused(tmp_path: Path) -> None:
    hang(tmp_path, "my-own")
    (tmp_path / "my-own.onnx").write_bytes(b"tampered")
    with pytest.raises(StyleError, match="my-own"):
        Gallery(tmp_path).find("my-own").network()


def test_a_network_that_is_missing_is_refused(tmp_path: Path) -> None:
    hang(tmp_path, "my-own")
    (tmp_path / "my-own.onnx").unlink()
    with pytest.raises(StyleError, match=r"my-own\.onnx"):
        Gallery(tmp_path).find("my-own").network()


def test_every_bad_card_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    hang(tmp_path, "Bad Name")
    hang(tmp_path, "no-title", title=None)
    (tmp_path / "no-json.json").write_text("{")
    with pytest.raises(ConfigurationError) as refusal:
        Gallery(tmp_path)
    told = "\n".join(refusal.value.problems)
    for name in ("Bad Name", "no-title", "no-json"):
        assert name in told
    assert len(refusal.value.problems) == 3


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="STYLES_DIR"):
        Gallery(tmp_path / "nowhere")
