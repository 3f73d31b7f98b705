"""The people who use the studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class User:
    """Who sent a request.

    ``id`` stands in the metadata of their uploads, so it is printable ASCII; ``None`` is the one
    user of a studio that tells nobody apart. Operators see everybody's jobs.
    """

    id: str | None
    name: str
    operator: bool

    def may_see(self, owner: str | None) -> bool:
        """Tell whether a job of ``owner`` is this user's business."""
        return self.operator or (self.id is not None and self.id == owner)


EVERYBODY: Final = User(None, "", operator=True)
"""Whoever has the token of a studio on their own machine."""

OWNER: Final = "owner"
"""The name of the metadata of an upload that says whose it is."""
