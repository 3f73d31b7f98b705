"""The file of copied tracks while it is written, and its digest.

The digest is published with the file as its seal, so it must be of what was written and not of what
the disk returns later. It cannot be taken while writing, because muxers go back to fill in sizes
and tables. So the file is divided into blocks: the one being written is in memory, and the others
are known by their digests. What is read back, to change a block or to seal the file, is compared
with these first.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.contracts.errors import SourceRefused
from shared.media.containers import is_full

CORRUPT_SIDE: Final = "CORRUPT_SIDE"

BLOCK_BYTES = 256 * 1024


class SideFile:
    """A new file at ``path``, for a single writer, who may go back but leave no gap.

    Memory use does not grow with the file.

    Raises:
        SourceRefused: ``CORRUPT_SIDE``, from every method: the disk does not take or return what is
            written.
        OSError: there is no space left.
    """

    # (Named otherwise than `close`, which muxers call before the file is sealed.)

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._at = 0
        self._index = 0
        self._block = bytearray()
        self._digests: dict[int, bytes] = {}

    def write(self, data: bytes) -> int:
        """Write at the current position; return how much, which is all of it."""
        rest = memoryview(data)
        while rest:
            index, begin = divmod(self._at, BLOCK_BYTES)
            part = rest[: BLOCK_BYTES - begin]
            with _faults_named():
                self._turn_to(index)
                self._file.write(part)
            self._block[begin : begin + len(part)] = part
            self._at += len(part)
            rest = rest[len(part) :]
        return len(data)

    def read(self, size: int) -> bytes:
        """Read from the current position on, as far as its block goes."""
        index, begin = divmod(self._at, BLOCK_BYTES)
        with _faults_named():
            self._turn_to(index)
        data = bytes(self._block[begin : begin + size])
        self.seek(len(data), 1)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position, as files do."""
        with _faults_named():
            self._at = self._file.seek(
                self._at + offset if whence == 1 else offset, whence // 2 * 2
            )
        return self._at

    def tell(self) -> int:
        """Return the current position."""
        return self._at

    def flush(self) -> None:
        """Hand what is written to the operating system."""
        with _faults_named():
            self._file.flush()

    def seal(self) -> str:
        """End the file, and return the SHA-256 of what was written, in hexadecimal."""
        self._digests[self._index] = _digest(self._block)
        digest = hashlib.sha256()
        with _faults_named():
            for index in range(len(self._digests)):
                digest.update(self._stored(index))
            self._file.close()
        return digest.hexdigest()

    def end(self) -> None:
        """End the file as it is."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _turn_to(self, index: int) -> None:
        """Take a block into memory."""
        if index != self._index:
            self._digests[self._index] = _digest(self._block)
            self._block = bytearray(self._stored(index) if index in self._digests else b"")
            self._index = index

    def _stored(self, index: int) -> bytes:
        """Read a block back; the position stays."""
        self._file.seek(index * BLOCK_BYTES)
        data = self._file.read(BLOCK_BYTES)
        self._file.seek(self._at)
        if _digest(data) != self._digests[index]:
            raise corrupt_side()
        return data


def corrupt_side() -> SourceRefused:
    """Return the error of a side file that the disk has damaged."""
    return SourceRefused(
        CORRUPT_SIDE,
        "the video's sound and subtitles were damaged in the splitter's work folder: check the "
        "disk of the splitter's machine, and upload the video again",
    )


@contextlib.contextmanager
def _faults_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise
        raise corrupt_side() from error


def _digest(data: bytes | bytearray) -> bytes:
    return hashlib.sha256(data).digest()
