"""What a storage account has answered last, whoever asked: it tells whether the account is there.

A service that reads its hub hears from storage every few seconds. To ask for nothing but an answer
beside that would be a fifth of all that an idle service asks.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from shared.storage.blobs import BlobStore

_OF_BLOBS: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
"""Answers of an account in order, about blobs that are not as was thought."""
_IN_ITS_PLACE: Final = 5
_FRESH_S: Final = 7.0
"""Idle consumers look every 5 to 6 s who else lives."""


class LastAnswer:
    """The last answer to any request of one client of an account."""

    def __init__(self) -> None:
        self._good = False
        self._at_s = float("-inf")
        self._wall_s = 0.0
        self._date = ""

    def note(self, answer: Any) -> None:
        """Note an answer: to be given to the client as its ``raw_response_hook``."""
        found = answer.http_response
        self._good = found.status_code < HTTPStatus.BAD_REQUEST or found.status_code in _OF_BLOBS
        self._at_s, self._wall_s = time.monotonic(), time.time()
        self._date = found.headers.get("Date", "")

    def is_good(self, within_s: float) -> bool:
        """Whether it was no refusal and no outage, and came within the last ``within_s``."""
        return self._good and time.monotonic() - self._at_s < within_s

    @property
    def ahead_s(self) -> float:
        """How far this machine's clock was ahead of storage's; 0 before any answer."""
        if not self._date:
            return 0.0
        return self._wall_s - parsedate_to_datetime(self._date).timestamp()


class StorageProbe:
    """Asks whether the account of ``container`` answers for it, seldom if others have just asked.

    A good ``last`` answer of the account within ``every_s``, 7 s at most, stands for its own, five
    times in a row. It stands for nothing after a probe that failed: an account may answer for one
    container and not for another.
    """

    def __init__(self, blobs: BlobStore, container: str, last: LastAnswer, every_s: float) -> None:
        self._blobs = blobs
        self._container = container
        self._last = last
        self._fresh_s = min(every_s, _FRESH_S)
        self._unasked = _IN_ITS_PLACE

    async def __call__(self) -> None:
        """Return if the account answers.

        Raises:
            TransientError: it does not.
        """
        if self._unasked < _IN_ITS_PLACE and self._last.is_good(self._fresh_s):
            self._unasked += 1
            return
        self._unasked = _IN_ITS_PLACE
        await self._blobs.reach(self._container)
        self._unasked = 0
