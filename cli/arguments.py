"""Parses the numbers of a command line; errors are sentences that say what is valid."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final

LONGEST_LOOP_S: Final = 10
"""Longer loops make large files, and nobody watches them to the end."""

MOST_SECONDS: Final = 1_000_000
"""No video is longer, and containers can represent it."""


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range."""

    def read(text: str) -> int:
        # No number in these ranges is longer, and Python refuses to parse very long ones.
        if not text.isdecimal() or len(text) > 10 or not least <= int(text) <= most:  # noqa: PLR2004
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {most}, not {text!r}"
            )
        return int(text)

    return read


def stylizers(text: str) -> int:
    """Parse the number of stylizers of a local stack."""
    # Imported only if the option is given: such commands start a stack anyway.
    from local.workspace import MOST_STYLIZERS

    try:
        return whole(1, MOST_STYLIZERS)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{error}: chunks come in {MOST_STYLIZERS} partitions at most, so more would be idle"
        ) from error


def not_negative(text: str) -> float:
    """Parse a finite number that is not negative."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0, not {text!r}")
    return number


def hours(text: str) -> float:
    """Parse the number of hours for which a link is valid."""
    # Imports the storage SDK, which other commands may not need.
    from client.links import MOST_HOURS

    return _up_to(MOST_HOURS, "hours", text)


def seconds(text: str) -> Fraction:
    """Parse a time in a video, exactly."""
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
    """Parse the length of a loop."""
    return _up_to(LONGEST_LOOP_S, "seconds", text)


def _up_to(most: float, unit: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"must be a number of {unit} up to {most}, not {text!r}")
    return number
