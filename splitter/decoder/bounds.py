"""Bounds on what a possibly hostile decoder may request and send; the parent checks everything."""

from __future__ import annotations

import itertools
import os
import re
from typing import Final

from shared.contracts.manifest import Chunk, Source
from splitter.decoder.wire import (
    BLOCK_BYTES,
    MAX_HEADER,
    MAX_PAYLOAD,
    GarbageError,
    Job,
    Refusal,
)
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitEnd, SplitEvent

_REREAD: Final = 64
"""How often, on average, each byte may be read: badly interleaved files are read repeatedly."""
_SPARE_READS: Final = 64
_SPARE_CHUNKS: Final = 32
"""A video's first chunks are smaller than the others."""
_SPARE_DISK: Final = 64 * 1024 * 1024
_MOST_FILES: Final = 64
"""Files in its folder; an intact decoder has a few at a time."""
_BYTES_A_PIXEL: Final = 2
"""More than x264 spends on the worst picture."""
_BYTES_A_FRAME: Final = 4096
_BYTES_A_CHUNK: Final = 64 * 1024
_MACROBLOCK: Final = 16
_DIGEST_LENGTH: Final = 32
_SHA256: Final = re.compile("[0-9a-f]{64}")
_MAX_TICKS: Final = 2**62
_MAX_WAY: Final = 2**30
"""How far a camera may move, in quarter pixels; stylizers hold it in 32 bits."""


class Bounds:
    """Tracks one decoder's requests and messages, and rejects what an intact one never sends.

    All methods raise `GarbageError` in that case.
    """

    def __init__(self, job: Job) -> None:
        self._size = job.size
        self._folder = job.side_path.parent
        self._options = job.options
        self._unread = _REREAD * job.size + _SPARE_READS * BLOCK_BYTES
        self._source: Source | None = None
        self._frames = 0
        self._chunks = 0

    def check_range(self, offset: int, length: int) -> None:
        """Check a request for a block of the upload, and count it."""
        if offset % BLOCK_BYTES or not 0 < length == min(BLOCK_BYTES, self._size - offset):
            raise GarbageError(
                f"it asked for {length} bytes from {offset} of an upload of {self._size}"
            )
        self._unread -= length
        if self._unread < 0:
            raise GarbageError(f"it read an upload of {self._size} bytes {_REREAD} times")

        self._check_disk()

    def check_sizes(self, header: int, payload: int) -> None:
        """Check the lengths that a message claims, before it is read."""
        if header > MAX_HEADER or payload > self._largest_payload():
            raise GarbageError(f"a message of {header} and {payload} bytes is too long")

    def check_event(self, event: SplitEvent | Refusal) -> None:
        """Check a message: first the source, then its chunks without a gap, then the end."""
        match event:
            case Source():
                self._check_source(event)
                self._source = event
            case EncodedChunk(chunk=chunk):
                self._check_chunk(chunk)
                self._frames += chunk.frames
                self._chunks += 1
            case SplitEnd(frames=frames, chunks=chunks, side_sha256=digest):
                if digest is not None and not _SHA256.fullmatch(digest):
                    raise GarbageError("it ended with something else than a digest")
                if (frames, chunks) != (self._frames, self._chunks) or not chunks:
                    raise GarbageError(
                        f"it ended with {frames} frames in {chunks} chunks and had sent "
                        f"{self._frames} in {self._chunks}"
                    )

    def _check_disk(self) -> None:
        """Check the size of the child's whole folder: the kernel limits only each file."""
        with os.scandir(self._folder) as found:
            files = list(itertools.islice(found, _MOST_FILES + 1))
        if len(files) > _MOST_FILES:
            raise GarbageError(f"it filled its folder with more than {_MOST_FILES} files")
        used = sum(map(_size, files))
        if used > self._options.limits.side_bytes + _SPARE_DISK:
            raise GarbageError(f"it filled its folder with {used} bytes")

    def _largest_payload(self) -> int:
        if self._source is None:
            return 0
        width, height = (
            -(-side // _MACROBLOCK) * _MACROBLOCK
            for side in (self._source.width, self._source.height)
        )
        frame = width * height * _BYTES_A_PIXEL + _BYTES_A_FRAME
        return min(_BYTES_A_CHUNK + self._options.chunk_frames * frame, MAX_PAYLOAD)

    def _check_source(self, source: Source) -> None:
        sides = (source.width, source.height)
        largest = self._options.limits.max_side + 1
        if self._source is not None:
            raise GarbageError("it described the video twice")
        if not all(0 < side <= largest and side % 2 == 0 for side in sides):
            raise GarbageError(f"it described pictures of {sides[0]}x{sides[1]}")
        if source.time_base <= 0:
            raise GarbageError(f"it described a time base of {source.time_base} s")

    def _check_chunk(self, chunk: Chunk) -> None:
        limits = self._options.limits
        if self._source is None:
            raise GarbageError("it sent a chunk before it described the video")
        if (chunk.index, chunk.first_frame) != (self._chunks, self._frames):
            raise GarbageError(f"chunk {chunk.index} does not follow the one before")
        if not 0 < chunk.frames <= self._options.chunk_frames:
            raise GarbageError(f"chunk {chunk.index} has {chunk.frames} frames")
        if self._frames + chunk.frames > limits.max_frames:
            raise GarbageError(f"it sent more than {limits.max_frames} frames")
        if chunk.index >= limits.max_frames // self._options.chunk_frames + _SPARE_CHUNKS:
            raise GarbageError(f"it sent more than {chunk.index} chunks")
        if len(chunk.pts_digest) != _DIGEST_LENGTH or not (
            -_MAX_TICKS < chunk.first_pts < _MAX_TICKS and 0 < chunk.duration < _MAX_TICKS
        ):
            raise GarbageError(f"chunk {chunk.index} has impossible times")
        ways = itertools.chain(*chunk.canvas, *chunk.grid)
        if max(len(chunk.canvas), len(chunk.grid)) > chunk.frames or any(
            abs(way) > _MAX_WAY for way in ways
        ):
            raise GarbageError(f"chunk {chunk.index} has impossible positions")


def _size(file: os.DirEntry[str]) -> int:
    """Return a file's size in bytes; 0 if the child has deleted it meanwhile."""
    try:
        return file.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
