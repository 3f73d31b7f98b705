"""Paints a single picture as a job would, so that people see every style on their own frame.

Pictures are sent as plain pixels: the browser decodes them, so that the studio, which may write to
storage, runs no decoder on untrusted data.

The stylizer's painting is used as a library, as in the command line; see docs/adr.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final

import numpy as np

from shared.contracts.errors import StyleError
from shared.contracts.style_request import StyleRequest
from shared.media.jpeg import to_jpeg
from shared.media.pixels import from_planar_rgb
from shared.styles.gallery import Gallery
from web.problems import Problem, bad_request
from web.shared_work import SharedBytes

LONGEST_SIDE: Final = 1280
LEAST_SIDE: Final = 16
_CHANNELS: Final = 3
LARGEST_BYTES: Final = LONGEST_SIDE * LONGEST_SIDE * _CHANNELS
_WAITING: Final = 64
_KEPT_BYTES: Final = 16 << 20
"""How much painted output is kept: everybody sees the example first."""


class Previews:
    """Paints pictures in threads of its own, a few at a time.

    Raises:
        Problem: the picture or the style cannot be painted, or too many wait.
    """

    def __init__(self, gallery: Gallery, at_once: int) -> None:
        from stylizer.painting.engine import OnnxEngine

        self._engine = OnnxEngine(gallery, "cpu")
        self._threads = ThreadPoolExecutor(at_once, "preview")
        self._painted = SharedBytes[tuple[bytes, int, int, StyleRequest]](_KEPT_BYTES)
        self._waiting = 0

    async def paint(self, pixels: bytes, width: int, height: int, style: StyleRequest) -> bytes:
        """Return the painted picture as JPEG.

        ``pixels`` are ``width`` x ``height`` RGB triples of bytes, row by row from the top left.
        """
        sides = (width, height)
        if min(sides) < LEAST_SIDE or max(sides) > LONGEST_SIDE or any(s % 2 for s in sides):
            raise bad_request(
                f"a preview's sides are even numbers from {LEAST_SIDE} to {LONGEST_SIDE}, "
                f"not {width}x{height}"
            )
        if len(pixels) != width * height * _CHANNELS:
            raise bad_request(
                f"a picture of {width}x{height} has {width * height * _CHANNELS} bytes, not "
                f"{len(pixels)}"
            )
        # Whoever has the pixels may have their painting, even if somebody else requested it first.
        key = (hashlib.sha256(pixels).digest(), width, height, style)
        return await self._painted.get(key, lambda: self._paint_soon(pixels, width, height, style))

    async def _paint_soon(
        self, pixels: bytes, width: int, height: int, style: StyleRequest
    ) -> bytes:
        if self._waiting >= _WAITING:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many previews are waiting: try again in a moment",
                {"Retry-After": "2"},
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, self._paint, pixels, width, height, style
            )
        except StyleError as error:
            raise bad_request(error.message) from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; waiting pictures are not painted."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _paint(self, pixels: bytes, width: int, height: int, style: StyleRequest) -> bytes:
        from stylizer.painting.chunk import paint_picture

        rows = np.frombuffer(pixels, np.uint8).reshape(height, width, _CHANNELS)
        source = from_planar_rgb(np.ascontiguousarray(rows.transpose(2, 0, 1)))
        return to_jpeg(paint_picture(source, self._engine.paint, style, self._engine.layout))
