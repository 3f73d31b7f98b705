"""What happens when Ctrl-C interrupts a command."""

from __future__ import annotations

from typing import Final

from shared.contracts.errors import StylestreamError

INTERRUPTED: Final = 130
"""The exit code."""


class Stopped(Exception):
    """Raised in a thread whose command was interrupted."""


class Interrupted(StylestreamError):
    """Something that an interrupted command has begun goes on; the sentence says what."""
