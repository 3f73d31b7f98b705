"""Files that are published only if they still hold what was checked.

A result is written, checked and then uploaded, which reads it from the disk once more. If the disk
returns other bytes the second time, they must not be published: the file is digested while it is
uploaded, and if the digest is wrong, the upload fails before its last bytes are sent.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.contracts.errors import ResultError


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file, and the digest of what it must hold."""

    path: Path
    sha256: str

    def open(self, _mode: Literal["rb"] = "rb") -> io.FileIO:
        """Open it for a single read from beginning to end."""
        return _Reading(self.path, self.sha256)


class _Reading(io.FileIO):
    """Digests what is read, and raises at the end if it is not what was expected.

    Raises:
        ResultError: ``CORRUPT_RESULT``, from the ``read`` that reaches the end.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        super().__init__(path, "rb")
        self._expected = sha256
        self._digest = hashlib.sha256()
        self._left = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self._digest.update(data)
        self._left -= len(data)
        if self._left <= 0 and self._digest.hexdigest() != self._expected:
            raise ResultError(
                "CORRUPT_RESULT",
                "the result was damaged in the work folder after it had been "
                "checked: check the "
                "disk of the assembler's machine, and submit the video again",
            )
        return data
