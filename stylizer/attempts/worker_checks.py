"""Checks whether a worker, and not the chunk, is the cause of a failed attempt.

A worker that cannot paint any more would fail every chunk that it is given. It fails its own health
check instead, gives its chunks back and leaves; its successor starts afresh.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, NoReturn

from shared.contracts.errors import PermanentError, StylestreamError
from shared.hubs.workers import GivenBack
from shared.media.probes import find_nvenc_fault
from shared.service.health import Health
from shared.styles.gallery import STYLE_CHANGED
from stylizer.attempts.lanes import Lanes
from stylizer.painting.engine import Engine
from stylizer.settings import StylizerSettings

_BLANK_SIDE: Final = 64
# The wordings of ONNX Runtime's allocator, CUDA, its libraries and Python.
_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|failed to allocate memory|available memory of \d+ is smaller than"
    r"|CUDA failure 2\b|_ALLOC(ATION)?_FAILED|MemoryError|bad_alloc",
    re.IGNORECASE,
)


def is_out_of_memory(cause: str) -> bool:
    """Return whether an error says that memory ran out."""
    return _OUT_OF_MEMORY.search(cause) is not None


class WorkerChecks:
    """Finds the faults of one worker.

    Raises:
        GivenBack: from every method: the worker is the cause, and the service has failed.
    """

    def __init__(
        self, settings: StylizerSettings, engine: Engine, lanes: Lanes, health: Health
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._lanes = lanes
        self._health = health

    async def check(self, failure: StylestreamError) -> None:
        """Check all that painting needs, after ``failure``."""
        await self.check_styles(failure)
        await self._check_engine()
        await self._check_encoder()

    def check_memory(self, cause: str) -> None:
        """Check whether the GPU is out of memory, which isolated attempts share with this process.

        The successor starts with all of it.
        """
        if self._settings.on_gpu and is_out_of_memory(cause):
            self._leave("the GPU is out of memory", cause)

    async def check_styles(self, failure: StylestreamError) -> None:
        """Check whether the files of styles have changed since the start.

        This worker cannot load what it has not loaded yet, and its children refuse to paint.
        """
        changes = await asyncio.to_thread(self._engine.find_style_changes)
        if isinstance(failure, PermanentError) and failure.code == STYLE_CHANGED:
            changes = changes or failure.message
        if changes is not None:
            self._leave("styles were changed while they were in use", changes)

    async def _check_engine(self) -> None:
        """Check that the engine still paints: a worker may lose its GPU."""
        blank = self._engine.layout.batch(1, _BLANK_SIDE, _BLANK_SIDE)
        blank[:] = 0
        style = self._settings.default_style
        try:
            await self._lanes.run(lambda: self._engine.paint(style, blank))
        except GivenBack:
            raise
        except Exception as error:
            self._leave("the engine no longer paints", error)

    async def _check_encoder(self) -> None:
        """Check that NVENC still works, where it is in use."""
        if self._settings.segment_encoder != "nvenc":
            return
        if fault := await self._lanes.run(find_nvenc_fault):
            self._leave("the GPU's encoder no longer works", fault)

    def _leave(self, fault: str, detail: object) -> NoReturn:
        self._health.fail(f"{fault}: {detail}")
        raise GivenBack(fault) from (detail if isinstance(detail, Exception) else None)
