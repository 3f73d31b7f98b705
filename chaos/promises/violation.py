"""One broken promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Promise = Literal[
    "I1",
    "I2",
    "I3",
    "I4",
    "I5",
    "I6",
    "ALIKE",
    "END",
    "TOLD",
    "TIDY",
    "SHOWN",
    "LEAN",
    "PROMPT",
    "FAIR",
    "SMALL",
]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that was seen although it must never happen."""

    promise: Promise
    about: str
    """The job, blob or partition that it is about."""
    sentence: str

    def __str__(self) -> str:
        return f"{self.promise} {self.about}: {self.sentence}"
