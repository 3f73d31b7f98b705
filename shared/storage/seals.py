"""Seals: a blob's metadata holds the digest of its content, written with it in one request.

A byte that storage loses or changes, or a blob that somebody else overwrites, would otherwise show
up as a garbled picture: a video decoder conceals what it cannot read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from shared.contracts.errors import ChunkError
from shared.storage.descriptions import Content

SEAL: Final = "sha256"


def seal(data: bytes) -> dict[str, str]:
    """Return the metadata that seals ``data``."""
    return {SEAL: hashlib.sha256(data).hexdigest()}


def check_seal(content: Content, what: str, code: str) -> None:
    """Compare a blob's content with its seal; ``what`` names it in the error's sentence.

    Raises:
        ChunkError: with ``code``: the content is not what its writer wrote.
    """
    expected = content.metadata.get(SEAL)
    if expected is None:
        raise ChunkError(code, f"{what} carries no seal: it was not written by the pipeline")
    if hashlib.sha256(content.data).hexdigest() != expected:
        raise ChunkError(code, f"{what} was changed or damaged in storage")


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
