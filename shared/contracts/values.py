"""The base of every value that crosses a service boundary, and the field types they share."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

_QUOTED: Final = 200
_FRACTION: Final = re.compile(r"-?[0-9]+(/[0-9]+)?")


class Value(BaseModel):
    """An immutable value with a JSON form.

    Unknown fields are ignored, so that an older service can read what a newer one wrote.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    def to_json(self) -> bytes:
        """Encode as compact UTF-8 JSON."""
        return self.model_dump_json().encode()


def first_problem(error: ValidationError) -> str:
    """Return a clause that says what is wrong with a JSON text, and where.

    The clause may quote the offending value, which can be a megabyte long, so it is truncated.
    """
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "body"
    return f"{where}: {first['msg']}"[:_QUOTED]


def parse_fraction(text: str) -> Fraction:
    """Return the fraction that ``str`` wrote as ``text``.

    Raises:
        ValueError: it did not write that. Python reads an exponent, too, and a few characters with
            one, such as ``1e999999999``, take hours and all memory.
    """
    try:
        if _FRACTION.fullmatch(text):
            return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{text!r} is not an exact fraction") from error
    raise ValueError(f"{text!r} is not an exact fraction")


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str):
        return parse_fraction(value)
    if isinstance(value, int):
        return Fraction(value)
    raise ValueError(f"{value!r} is not an exact fraction: give it as a string such as '1/30000'")


ExactFraction = Annotated[
    Fraction, BeforeValidator(_fraction), PlainSerializer(str, return_type=str)
]
"""A rational number that survives JSON exactly, as ``"1/30000"``."""
