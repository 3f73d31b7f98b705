"""The base of every value that crosses a service boundary, and the field types they share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

_QUOTED: Final = 200


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


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (str, int)):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f"{value!r} is not an exact fraction") from error
    raise ValueError(f"{value!r} is not an exact fraction: give it as a string such as '1/30000'")


ExactFraction = Annotated[
    Fraction, BeforeValidator(_fraction), PlainSerializer(str, return_type=str)
]
"""A rational number that survives JSON exactly, as ``"1/30000"``."""
