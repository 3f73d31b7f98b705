"""The gallery: every style by name, the bundled ones and those of a user's folder.

A style is two files: ``NAME.onnx``, the network, and ``NAME.json``, its card. The name is
lower-case letters, digits and hyphens, because it becomes part of result names and of upload
paths. There may also be the same network in half precision, ``NAME.fp16.onnx``, which the card then
names under ``variants``.

Every file is compared with its card when the gallery is opened, so that a style that cannot be used
is reported by name before the first video comes, and not by the job that requests it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import structlog
from pydantic import ValidationError

from shared.contracts.errors import ConfigurationError, StyleError
from shared.contracts.style_blend import parse_blend
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value

log = structlog.get_logger()

STYLE_CHANGED: Final = "STYLE_CHANGED"

_BUNDLED: Final = Path(__file__).parent
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Precision = Literal["fp32", "fp16"]
"""The precision of a network's weights; fp16 is faster on a GPU."""


class Card(Value):
    """A style's card; ``sha256`` is that of the network's file.

    Networks with the same ``trunk`` were trained from one ancestor, so that a mean of their weights
    is a style, too. ``variants`` maps a precision to the sha256 of that variant's file.
    """

    title: str
    painter: str
    year: int | None = None
    licence: str
    sha256: str
    trunk: str | None = None
    variants: Mapping[Literal["fp16"], str] = {}


@dataclass(frozen=True, slots=True)
class Style:
    """A style in the gallery: its name, its card, and where its network is."""

    name: str
    card: Card
    path: Path

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions in which the network is available."""
        return ("fp32", *self.card.variants)

    def file(self, precision: Precision) -> Path:
        """Return where the network is, or would be, in a precision."""
        whole = precision == "fp32"
        return self.path if whole else self.path.with_suffix(f".{precision}.onnx")

    def network(self, precision: Precision = "fp32") -> bytes:
        """Read the ONNX file.

        Raises:
            StyleError: there is no such variant, or its file is missing or is not the one that the
                card names.
        """
        promised = self.card.sha256 if precision == "fp32" else self.card.variants.get(precision)
        if promised is None:
            raise StyleError(
                "STYLE_UNREADABLE",
                f"style {self.name!r} has no {precision} network; it has: "
                f"{', '.join(self.precisions)}",
            )
        path = self.file(precision)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StyleError(
                "STYLE_UNREADABLE",
                f"style {self.name!r}: cannot read {path.name}: {error.strerror}, although "
                f"{self.name}.json names it: put it beside that card, or correct the card",
            ) from error
        if hashlib.sha256(data).hexdigest() != promised:
            raise StyleError(
                STYLE_CHANGED,
                f"style {self.name!r}: {path.name} does not match the digest in its card",
            )
        return data


class Gallery:
    """All styles by name; a name in ``extra`` replaces a bundled one.

    A network in ``extra`` that no card names is not a style; `unlisted` says what it lacks.

    Raises:
        ConfigurationError: naming every style in the folder that cannot be used.
    """

    def __init__(self, extra: Path | None = None) -> None:
        self._extra = extra
        self._styles: dict[str, Style] = {}
        self.unlisted: dict[str, str] = {}
        """By file name without endings: a sentence for each network in ``extra`` without a card."""
        problems: list[str] = []
        for folder in (_BUNDLED, extra):
            if folder is not None:
                self._add_folder(folder, problems)
        if problems:
            raise ConfigurationError(problems)
        if extra is not None:
            self._note_unlisted(extra)

    @property
    def styles(self) -> Mapping[str, Style]:
        """The styles, sorted by name."""
        return dict(sorted(self._styles.items()))

    def __contains__(self, name: str) -> bool:
        return name in self._styles

    def find(self, name: str) -> Style:
        """Return the style called ``name``.

        Raises:
            StyleError: there is none; the sentence names those that exist.
        """
        if name not in self._styles:
            known = f"there is no style {name!r}; there are: {', '.join(sorted(self._styles))}"
            why = self.unlisted.get(name)
            raise StyleError("UNKNOWN_STYLE", f"{known}; {why}" if why else known)
        return self._styles[name]

    def find_all(self, blend: str) -> tuple[tuple[Style, int], ...]:
        """Return the styles of a blend, or the one style, each with its share in hundredths.

        Raises:
            StyleError: one of them does not exist, or ``blend`` is not a blend.
        """
        try:
            portions = parse_blend(blend)
        except ValueError as error:
            raise StyleError("BAD_REQUEST", str(error)) from error
        return tuple((self.find(name), percent) for name, percent in portions)

    def require(self, request: StyleRequest) -> None:
        """Check that all styles that a request names exist.

        Raises:
            StyleError: one of them does not.
        """
        for blend in request.blends:
            self.find_all(blend)

    def version(self, request: StyleRequest) -> str:
        """Digest the networks that a request is painted with, the same in every precision.

        Raises:
            StyleError: one of its styles does not exist.
        """
        digests = {
            style.name: style.card.sha256
            for blend in request.blends
            for style, _ in self.find_all(blend)
        }
        return hashlib.sha256("\n".join(map(str, sorted(digests.items()))).encode()).hexdigest()[
            :16
        ]

    def find_changes(self) -> str | None:
        """Name the styles whose files have changed since the gallery was opened; None if none has.

        Styles that were added since do not count, unless they cannot be used.
        """
        try:
            now = Gallery(self._extra).styles
        except ConfigurationError as error:
            return str(error)
        changed = [name for name, style in self.styles.items() if now.get(name) != style]
        return ", ".join(changed) or None

    def _add_folder(self, folder: Path, problems: list[str]) -> None:
        if not folder.is_dir():
            problems.append(f"STYLES_DIR: {folder} is not a folder")
        for path in sorted(folder.glob("*.json")):
            name = path.stem
            if not _NAME.fullmatch(name):
                problems.append(f"{path}: a style's name is lower-case letters, digits and hyphens")
                continue
            try:
                card = Card.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                problems.append(f"{path} is not a style card: {_first_fault(error)}")
                continue
            style = Style(name, card, path.with_suffix(".onnx"))
            try:
                for precision in style.precisions:
                    style.network(precision)
            except StyleError as error:
                problems.append(error.message)
                continue
            self._styles[name] = style

    def _note_unlisted(self, folder: Path) -> None:
        used = {
            style.file(precision)
            for style in self._styles.values()
            for precision in style.precisions
        }
        # The whole network before its variants: what it lacks, they lack.
        for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            if path.suffix.lower() == ".onnx" and path not in used:
                name = path.stem.removesuffix(".fp16")
                self.unlisted.setdefault(name, _what_it_lacks(path, folder / f"{name}.json"))


def open_gallery(folder: str | None, default_style: str) -> Gallery:
    """Open a service's gallery, with the styles of ``folder`` if given.

    Raises:
        ConfigurationError: naming every style that cannot be used, or a missing default style.
    """
    gallery = Gallery(Path(folder) if folder else None)
    try:
        gallery.find_all(default_style)
    except StyleError as error:
        raise ConfigurationError([f"DEFAULT_STYLE: {error.message}"]) from error
    for why in gallery.unlisted.values():
        log.warning("network not listed", why=why)
    return gallery


def _what_it_lacks(network: Path, card: Path) -> str:
    if card.exists():
        return f"{network.name} is not used: name it under 'variants' in {card.name}"
    return (
        f"{network.name} has no card, and is not a style until it has one: put {card.name} beside "
        "it, with title, painter, licence and sha256"
    )


def _first_fault(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
