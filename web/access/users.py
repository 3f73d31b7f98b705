"""The people who use the studio, and which uploads are whose."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

_DIGITS: Final = 24
"""Hexadecimal digits of a folder's name: so many that nobody finds a name that meets another's."""

_SHARED: Final = "studio"


@dataclass(frozen=True, slots=True)
class User:
    """Who sent a request.

    ``id`` is ``None`` for the one user of a studio that tells nobody apart. Operators see
    everybody's jobs.
    """

    id: str | None
    name: str
    operator: bool

    @property
    def folder(self) -> str:
        """The first folder of the names of this user's uploads.

        It says whose an upload is, because it is what a signed link fixes: whoever has a link
        chooses the blob's bytes and metadata, and not its name.
        """
        if self.id is None:
            return _SHARED
        return hashlib.sha256(b"stylestream studio user\n" + self.id.encode()).hexdigest()[:_DIGITS]

    def may_see(self, video: str) -> bool:
        """Tell whether the job of the upload with the name ``video`` is this user's business."""
        return self.operator or (self.id is not None and video.startswith(f"{self.folder}/"))


EVERYBODY: Final = User(None, "", operator=True)
"""Whoever has the token of a studio on their own machine."""
