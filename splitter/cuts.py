"""The chunks that a split has cut so far.

Where the camera moves, a chunk is mostly the places of its frames. As values, those of half a
million frames would take over 120 MB until the split ends; compressed, they take 7.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from pydantic import TypeAdapter

from shared.contracts.manifest import Chunk

_CHUNK: Final = TypeAdapter(Chunk)


class Cuts:
    """Chunks in order, without a gap; iterating over them gives the JSON of each."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self.frames = 0
        """The number of frames in all of them."""
        self.end = 0
        """When the display of the last one ends, in ticks of the source's time base."""

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[bytes]:
        return map(zlib.decompress, self._packed)

    def append(self, chunk: Chunk) -> None:
        """Add the next chunk."""
        self._packed.append(_pack(chunk))
        self.frames += chunk.frames
        self.end = chunk.first_pts + chunk.duration

    def has(self, chunk: Chunk) -> bool:
        """Return whether a chunk is the same as the one that was cut in its place before."""
        return self._packed[chunk.index] == _pack(chunk)


def _pack(chunk: Chunk) -> bytes:
    return zlib.compress(_CHUNK.dump_json(chunk))
