"""The engine of a simulated stylizer."""

from __future__ import annotations

import time

from shared.contracts.style_request import StyleRequest
from stylizer.painting.engine import CORNER
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.layouts import RGB, Layout


class WaitingEngine:
    """Takes ``frame_s`` seconds for each frame without using a CPU, and returns it unchanged."""

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s

    def paint(
        self,
        style: str,  # noqa: ARG002 - as `Engine` has it
        frames: Frames,
        canvas: Canvas = CORNER,  # noqa: ARG002
        *,
        passing: bool = False,  # noqa: ARG002
    ) -> Frames:
        """Return ``frames``, later; see `stylizer.painting.engine.Engine`."""
        time.sleep(self._frame_s * len(frames))
        return frames

    @property
    def layout(self) -> Layout:
        """Return the CPU's layout of arrays."""
        return RGB

    def version(self, request: StyleRequest) -> str:  # noqa: ARG002
        """Return nothing: no network paints."""
        return ""

    def trim(self) -> None:
        """Do nothing: no memory is kept."""

    def find_style_changes(self) -> None:
        """Return None: no styles are loaded."""
