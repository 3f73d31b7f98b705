"""Videos as they are read for an upload: one that becomes shorter meanwhile is an error at once.

Otherwise storage would wait for the bytes that were announced, until the connection times out.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.contracts.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Source:
    """A video to upload."""

    path: Path

    def open(self, _mode: Literal["rb"] = "rb") -> io.FileIO:
        """Open it for reading; `ConfigurationError` is raised where bytes are missing."""
        return _Reading(self.path, "rb")


class _Reading(io.FileIO):
    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._path = path
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size) or b""
        if len(data) != size and self.tell() < self._size:
            raise ConfigurationError([f"{self._path} has become shorter while it was uploaded"])
        return data
