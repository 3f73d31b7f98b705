"""A file whose bytes are requested, block by block, over a socket."""

from __future__ import annotations

import io
import socket
from collections import OrderedDict

from splitter.decoder.wire import BLOCK_BYTES, LENGTH, RANGE

CACHED_BLOCKS = 8
"""Enough for files whose sound is stored far from the picture: both are read alternately."""


class RangeFile(io.RawIOBase):
    """A seekable, read-only file that is never fetched as a whole.

    While the file is read sequentially, the next block is requested ahead of time, which hides the
    round trip to storage behind decoding.
    """

    def __init__(self, connection: socket.socket, size: int) -> None:
        super().__init__()
        self._connection = connection
        self._size = size
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._asked: int | None = None
        self._last = -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        end = self._size if size < 0 else min(self._position + size, self._size)
        parts = []
        while self._position < end:
            index, start = divmod(self._position, BLOCK_BYTES)
            part = self._block(index)[start : start + end - self._position]
            parts.append(part)
            self._position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, index: int) -> bytes:
        if index not in self._blocks:
            if self._asked != index:
                self._collect()
                self._ask(index)
            self._collect()
        self._blocks.move_to_end(index)
        if index == self._last + 1:
            self._look_ahead(index + 1)
        self._last = index
        return self._blocks[index]

    def _look_ahead(self, index: int) -> None:
        if self._asked is None and index not in self._blocks and index * BLOCK_BYTES < self._size:
            self._ask(index)

    def _ask(self, index: int) -> None:
        offset = index * BLOCK_BYTES
        length = min(BLOCK_BYTES, self._size - offset)
        self._connection.sendall(RANGE.pack(offset, length))
        self._asked = index

    def _collect(self) -> None:
        """Receive the requested block, if there is one."""
        if self._asked is None:
            return
        (length,) = LENGTH.unpack(receive(self._connection, LENGTH.size))
        offset = self._asked * BLOCK_BYTES
        if length != min(BLOCK_BYTES, self._size - offset):
            raise OSError(f"asked for the bytes from {offset}, got {length} of them")
        self._blocks[self._asked] = receive(self._connection, length)
        self._asked = None
        if len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)


def receive(connection: socket.socket, size: int) -> bytes:
    """Receive exactly ``size`` bytes; raise `ConnectionError` if the other side is gone."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise ConnectionError("the splitter has exited")
        view = view[count:]
    return bytes(buffer)
