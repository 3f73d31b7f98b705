"""The gallery: bundled styles are what their cards say, and bad ones are refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from styles import hang, sha256

from shared.contracts.errors import ConfigurationError, StyleError
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import Gallery, open_gallery


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
    hang(tmp_path, "my-own", b"network")
    assert Gallery(tmp_path).find("my-own").network() == b"network"


def test_files_that_are_not_what_their_cards_say_are_all_named_when_the_gallery_opens(
    tmp_path: Path,
) -> None:
    for name in ("changed", "gone", "changed-fp16", "gone-fp16"):
        hang(tmp_path, name, b"network")
    (tmp_path / "changed.onnx").write_bytes(b"tampered")
    (tmp_path / "gone.onnx").unlink()
    hang(tmp_path, "changed-fp16", b"network", variants={"fp16": sha256(b"halved")})
    (tmp_path / "changed-fp16.fp16.onnx").write_bytes(b"tampered")
    hang(tmp_path, "gone-fp16", b"network", variants={"fp16": sha256(b"halved")})
    with pytest.raises(ConfigurationError) as refusal:
        Gallery(tmp_path)
    changed, changed_fp16, gone, gone_fp16 = sorted(
        refusal.value.problems, key=lambda told: told.split("'")[1]
    )
    assert "changed.onnx does not match the digest in its card" in changed
    assert "changed-fp16.fp16.onnx does not match the digest in its card" in changed_fp16
    assert "gone-fp16.fp16.onnx: No such file" in gone_fp16
    assert "gone.onnx: No such file" in gone
    assert "although gone.json names it: put it beside that card" in gone


def test_networks_that_no_card_names_are_said_not_to_be_styles(tmp_path: Path) -> None:
    hang(tmp_path, "whole", b"network")
    for name in ("bare", "bare.fp16", "half.fp16", "whole.fp16", "udnie"):
        (tmp_path / f"{name}.onnx").write_bytes(b"network")
    gallery = Gallery(tmp_path)
    assert list(gallery.unlisted) == ["bare", "udnie", "half", "whole"]
    bare = gallery.unlisted["bare"]
    assert bare.startswith("bare.onnx has no card, and is not a style until it has one")
    assert "put bare.json beside it" in bare
    assert "half.fp16.onnx has no card" in gallery.unlisted["half"]
    assert "name it under 'variants' in whole.json" in gallery.unlisted["whole"]
    with pytest.raises(StyleError, match=r"no style 'bare'.*put bare\.json beside it"):
        gallery.find("bare")
    assert gallery.find("udnie").path.parent != tmp_path
    with capture_logs() as told:
        open_gallery(str(tmp_path), "starry-night")
    assert [line["why"] for line in told] == list(gallery.unlisted.values())


def test_a_network_that_is_changed_while_the_gallery_is_open_is_refused(tmp_path: Path) -> None:
    hang(tmp_path, "my-own", b"network")
    gallery = Gallery(tmp_path)
    (tmp_path / "my-own.onnx").write_bytes(b"tampered")
    with pytest.raises(StyleError, match="my-own") as refusal:
        gallery.find("my-own").network()
    assert refusal.value.code == "STYLE_CHANGED"


def test_a_network_comes_in_every_precision_that_its_card_names(tmp_path: Path) -> None:
    hang(tmp_path, "my-own", b"network", variants={"fp16": sha256(b"halved")})
    (tmp_path / "my-own.fp16.onnx").write_bytes(b"halved")
    style = Gallery(tmp_path).find("my-own")
    assert style.precisions == ("fp32", "fp16")
    assert style.network("fp16") == b"halved"
    hang(tmp_path, "whole-only", b"network")
    with pytest.raises(StyleError, match="'whole-only' has no fp16 network; it has: fp32"):
        Gallery(tmp_path).find("whole-only").network("fp16")


def test_a_blend_is_found_with_its_shares(tmp_path: Path) -> None:
    hang(tmp_path, "my-own", b"network")
    found = Gallery(tmp_path).find_all("the-scream:1,my-own:3")
    assert [(style.name, percent) for style, percent in found] == [
        ("my-own", 75),
        ("the-scream", 25),
    ]


@pytest.mark.parametrize(
    ("blend", "code"), [("the-scream:1,nope:1", "UNKNOWN_STYLE"), ("the-scream:x", "BAD_REQUEST")]
)
def test_a_blend_that_cannot_be_had_is_refused(blend: str, code: str) -> None:
    with pytest.raises(StyleError) as refusal:
        Gallery().find_all(blend)
    assert refusal.value.code == code


def test_a_default_style_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="DEFAULT_STYLE: there is no style 'nope'"):
        open_gallery(None, "nope")


def test_every_bad_card_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    hang(tmp_path, "Bad Name", b"network")
    hang(tmp_path, "no-title", b"network", title=None)
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


def test_a_requests_version_changes_with_its_networks_and_with_nothing_else(tmp_path) -> None:
    request = StyleRequest(style="starry-night:0.5,udnie:0.5")
    bundled = Gallery()
    assert bundled.version(request) == Gallery().version(request)
    assert bundled.version(request) == bundled.version(request.model_copy(update={"quality": 80}))
    assert bundled.version(request) != bundled.version(StyleRequest(style="udnie"))
    # Another network under the name of a bundled style
    udnie = bundled.find("udnie")
    other = udnie.path.read_bytes() + b"\x00"
    card = udnie.card.model_copy(
        update={"sha256": hashlib.sha256(other).hexdigest(), "variants": {}}
    )
    (tmp_path / "udnie.onnx").write_bytes(other)
    (tmp_path / "udnie.json").write_text(card.model_dump_json())
    assert Gallery(tmp_path).version(request) != bundled.version(request)
    starry = StyleRequest(style="starry-night")
    assert Gallery(tmp_path).version(starry) == bundled.version(starry)
