"""Files that are published only if they still hold what was checked.

A result, or a side file, is written, checked and then uploaded, which reads it from the disk once
more. If the disk returns other bytes the second time, they must not be published: the file is
digested while it is uploaded, and if the digest is wrong, the upload fails before its last bytes
are sent.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.contracts.errors import PermanentError


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file, the digest of what it must hold, and the error if it holds anything else."""

    path: Path
    sha256: str
    corrupt: Callable[[], PermanentError]

    def open(self, _mode: Literal["rb"] = "rb") -> io.FileIO:
        """Open it for a single read from beginning to end."""
        return _Reading(self)


class _Reading(io.FileIO):
    """Digests what is read, and raises at the end if it is not what was expected.

    Raises:
        PermanentError: the file's own, from the ``read`` that reaches the end.
    """

    def __init__(self, sealed: SealedFile) -> None:
        super().__init__(sealed.path, "rb")
        self._sealed = sealed
        self._digest = hashlib.sha256()
        self._left = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self._digest.update(data)
        self._left -= len(data)
        if self._left <= 0 and self._digest.hexdigest() != self._sealed.sha256:
            raise self._sealed.corrupt()
        return data
