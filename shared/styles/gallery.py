"""The gallery: every style by name, the bundled ones and those of a user's folder.

A style is two files: ``NAME.onnx``, the network, and ``NAME.json``, its card. The name is
lower-case letters, digits and hyphens, because it becomes part of result names and of upload
paths.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from shared.errors import ConfigurationError, StyleError
from shared.values import Value

_BUNDLED: Final = Path(__file__).parent
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Card(Value):
    """What a style's card says; ``sha256`` is that of the network's file."""

    title: str
    painter: str
    year: int | None = None
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Style:
    """A style in the gallery: its name, its card, and where its network lies."""

    name: str
    card: Card
    path: Path

    def network(self) -> bytes:
        """Read the ONNX file.

        Raises:
            StyleError: the file is missing or is not the one that the card was made for.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise StyleError(
                "STYLE_UNREADABLE", f"style {self.name!r}: cannot read {self.path}: {error}"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.card.sha256:
            raise StyleError(
                "STYLE_CHANGED",
                f"style {self.name!r}: {self.path.name} is not the file that its card names",
            )
        return data


class Gallery:
    """All styles by name; a name in ``further`` replaces a bundled one.

    Raises:
        ConfigurationError: naming every card in the folder that cannot be used.
    """

    def __init__(self, further: Path | None = None) -> None:
        self._styles: dict[str, Style] = {}
        problems: list[str] = []
        for folder in (_BUNDLED, further):
            if folder is not None:
                self._hang(folder, problems)
        if problems:
            raise ConfigurationError(problems)

    @property
    def styles(self) -> Mapping[str, Style]:
        """The styles, sorted by name."""
        return dict(sorted(self._styles.items()))

    def __contains__(self, name: str) -> bool:
        return name in self._styles

    def find(self, name: str) -> Style:
        """Return the style called ``name``.

        Raises:
            StyleError: there is none; the sentence names those there are.
        """
        if name not in self._styles:
            raise StyleError(
                "UNKNOWN_STYLE",
                f"there is no style {name!r}; there are: {', '.join(sorted(self._styles))}",
            )
        return self._styles[name]

    def _hang(self, folder: Path, problems: list[str]) -> None:
        if not folder.is_dir():
            problems.append(f"STYLES_DIR: {folder} is no folder")
        for path in sorted(folder.glob("*.json")):
            name = path.stem
            if not _NAME.fullmatch(name):
                problems.append(f"{path}: a style's name is lower-case letters, digits and hyphens")
                continue
            try:
                card = Card.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                first = error.errors()[0] if isinstance(error, ValidationError) else None
                why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(error)
                problems.append(f"{path} is no style card: {why}")
                continue
            self._styles[name] = Style(name, card, path.with_suffix(".onnx"))
