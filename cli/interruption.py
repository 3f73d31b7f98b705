"""The end of a command by Ctrl-C."""

from __future__ import annotations

from typing import Final

from shared.contracts.errors import StylestreamError

INTERRUPTED: Final = 130
"""The exit code."""


class Stopped(Exception):
    """Ends a thread whose command was interrupted."""


class Interrupted(StylestreamError):
    """Something goes on that an interrupted command has begun; the sentence says what."""
