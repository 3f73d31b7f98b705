"""How much memory painting takes, and how much there is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from shared.contracts.messages import ChunkReady
from stylizer.painting.compiled import SPARE_BYTES
from stylizer.painting.framing import Framing

PROCESS_BYTES: Final = 210 << 20
"""Bytes that a process of an isolated attempt holds beside the chunk's own."""

_PAINTED_PIXEL: Final = 275
_FRAME_PIXEL: Final = 40
"""Bytes that a lane holds per pixel of the painted picture, and per pixel of the whole frame.

Measured in fp32 at 1280x720, 1920x1080 and 3840x2160: lanes held 273, 316 and at most 564 MiB.
"""

_BATCHES_IN_FLIGHT: Final = 8
"""Being filled, waiting, on the GPU, painted, and being encoded; three bytes for two pixels."""

RESERVED_BYTES: Final = (300 << 20) + SPARE_BYTES
"""Bytes that no lane gets: of an idle stylizer with its styles loaded, and of the idle models that
it keeps beside those in use."""

_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def needed(event: ChunkReady) -> int:
    """Return the bytes that painting a chunk on the processor takes."""
    framing = Framing.of(event.width, event.height, event.chunk.bars, event.style.lines)
    width, height = framing.working
    return _PAINTED_PIXEL * width * height + _FRAME_PIXEL * event.width * event.height


def needed_beside_gpu(event: ChunkReady, batch: int) -> int:
    """Return the bytes of host memory that painting a chunk on a GPU takes."""
    pixels = event.width * event.height
    return _BATCHES_IN_FLIGHT * batch * pixels * 3 // 2 + _FRAME_PIXEL * pixels


def available(limits: tuple[Path, ...] = _LIMITS) -> int:
    """Return the bytes that lanes may take: the container's or machine's, less what is reserved.

    >>> available() > 0
    True
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in limits:
        # Absent outside Linux; "max" where nothing is limited.
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(limit.read_text(encoding="ascii")))
    return max(1, total - RESERVED_BYTES)
