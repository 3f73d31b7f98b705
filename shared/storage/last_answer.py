"""A storage account's last answer to any request, which shows whether the account is available.

A service that reads its hub gets an answer from storage every few seconds anyway. Separate health
checks would be a fifth of all requests of an idle service.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from shared.storage.blobs import BlobStore

_OF_BLOBS: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
"""Error statuses of an account that works: they are about the state of a blob."""
_IN_ITS_PLACE: Final = 5
_FRESH_S: Final = 9.0
"""Idle consumers list the owners of partitions every 6 to 8 s."""


class LastAnswer:
    """The last answer to any request of one client of an account."""

    def __init__(self) -> None:
        self._good = False
        self._at_s = float("-inf")
        self._wall_s = 0.0
        self._date = ""

    def note(self, answer: Any) -> None:
        """Note an answer; to be passed to the client as its ``raw_response_hook``."""
        found = answer.http_response
        self._good = found.status_code < HTTPStatus.BAD_REQUEST or found.status_code in _OF_BLOBS
        self._at_s, self._wall_s = time.monotonic(), time.time()
        self._date = found.headers.get("Date", "")

    def is_good(self, within_s: float) -> bool:
        """Return whether it came within the last ``within_s``, from an account that works."""
        return self._good and time.monotonic() - self._at_s < within_s

    @property
    def ahead_s(self) -> float:
        """How far this machine's clock was ahead of storage's; 0 before any answer."""
        if not self._date:
            return 0.0
        return self._wall_s - parsedate_to_datetime(self._date).timestamp()


class StorageProbe:
    """Checks that an account answers for ``container``, rarely if other requests show that it does.

    A good ``last`` answer of the account within ``every_s``, at most 9 s, replaces a request of its
    own up to five times in a row. After a failed probe it does not, because an account may answer
    for one container and not for another.
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
