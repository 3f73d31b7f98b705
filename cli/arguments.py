"""Reads the numbers of a command line; what is refused gets a sentence that says what is valid."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

LONGEST_LOOP_S: Final = 10
"""A loop is looked at again and again, and its file grows with it."""

MOST_SECONDS: Final = 1_000_000
"""No video is longer, and a container's clock holds it."""


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number between these."""

    def read(text: str) -> int:
        # No number in these ranges is longer, and Python refuses to read very long ones.
        if not text.isdecimal() or len(text) > 10 or not least <= int(text) <= most:  # noqa: PLR2004
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {most}, not {text!r}"
            )
        return int(text)

    return read


def stylizers(text: str) -> int:
    """Read how many stylizers a local stack is to have."""
    # Loaded only where somebody asks for stylizers: those commands start a stack anyway.
    from local.workspace import MOST_STYLIZERS

    try:
        return whole(1, MOST_STYLIZERS)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{error}: chunks come in {MOST_STYLIZERS} partitions at most, so more would be idle"
        ) from error


def not_negative(text: str) -> float:
    """Read a finite number from 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0, not {text!r}")
    return number


def hours(text: str) -> float:
    """Read for how many hours a link is good."""
    # Loads the storage SDK, which other commands may not need.
    from client.links import MOST_HOURS

    return _up_to(MOST_HOURS, "hours", text)


def seconds(text: str) -> Fraction:
    """Read a place in a video, exactly."""
    try:
        # As a fraction 1e999999999 would fill memory; as a float it is infinite.
        at = Fraction(float(text) if "e" in text.lower() else text)
    except (ValueError, OverflowError, ZeroDivisionError):
        at = Fraction(-1)
    if not 0 <= at <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be a time in seconds, from 0 to {MOST_SECONDS}, not {text!r}"
        )
    return at


def loop_seconds(text: str) -> float:
    """Read for how long a loop is to be."""
    return _up_to(LONGEST_LOOP_S, "seconds", text)


def _up_to(most: float, unit: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"must be a number of {unit} up to {most}, not {text!r}")
    return number
