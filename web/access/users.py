"""The studio's users, and which uploads are theirs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

_DIGITS: Final = 24
"""Hexadecimal digits of a folder's name, enough to make collisions infeasible."""

_SHARED: Final = "studio"


@dataclass(frozen=True, slots=True)
class User:
    """The sender of a request.

    ``id`` is ``None`` for the only user of a studio without accounts. Operators see everybody's
    jobs.
    """

    id: str | None
    name: str
    operator: bool

    @property
    def folder(self) -> str:
        """The first folder of the names of this user's uploads.

        It determines the owner, because a signed link fixes the name: whoever has a link chooses
        the blob's bytes and metadata, but not its name.
        """
        if self.id is None:
            return _SHARED
        return hashlib.sha256(b"stylestream studio user\n" + self.id.encode()).hexdigest()[:_DIGITS]

    def may_see(self, video: str) -> bool:
        """Return whether this user may see the job of the upload with the name ``video``."""
        return self.operator or (self.id is not None and video.startswith(f"{self.folder}/"))


EVERYBODY: Final = User(None, "", operator=True)
"""The user of a studio on one machine, who has its token."""
