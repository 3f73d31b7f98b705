"""Dead letters: events that could not be processed, stored whole and with the cause."""

from __future__ import annotations

import base64
import hashlib
import traceback

from shared.contracts.errors import PermanentError
from shared.contracts.status import utc_now
from shared.contracts.values import Value
from shared.hubs.delivery import Delivery
from shared.storage.blobs import BlobStore


class DeadLetter(Value):
    """An event as received, and why it was given up."""

    hub: str
    partition_id: str
    sequence_number: int
    code: str
    cause: str
    attempts: int
    """How many times its processing was started."""
    trace: str
    buried_at: str
    body_base64: str

    @property
    def body(self) -> bytes:
        """The event's body."""
        return base64.b64decode(self.body_base64)


class DeadLetters:
    """Stores events of one hub in a container, one blob per event.

    Its name has a digest of the event beside its place, because a hub that was recreated counts its
    events anew.
    """

    def __init__(self, blobs: BlobStore, container: str, hub: str) -> None:
        self._blobs = blobs
        self._container = container
        self._hub = hub

    async def store(self, delivery: Delivery, error: BaseException, attempts: int = 1) -> None:
        """Store the event for people to look at; doing so twice changes nothing.

        Raises:
            TransientError: storage is unavailable; the event must not be marked done.
        """
        letter = DeadLetter(
            hub=self._hub,
            partition_id=delivery.partition_id,
            sequence_number=delivery.sequence_number or 0,
            code=code_of(error),
            cause=_cause(error),
            attempts=attempts,
            trace="".join(traceback.format_exception(error)),
            buried_at=utc_now(),
            body_base64=base64.b64encode(delivery.body).decode(),
        )
        await self._blobs.create(
            self._container,
            _name(letter, delivery.body),
            letter.to_json(),
            content_type="application/json",
        )


def code_of(error: BaseException) -> str:
    """Return the code under which an event that failed with ``error`` is stored and counted."""
    return error.code if isinstance(error, PermanentError) else "UNFORESEEN"


def _name(letter: DeadLetter, body: bytes) -> str:
    digest = hashlib.sha256(body).hexdigest()[:8]
    return f"{letter.hub}/{letter.partition_id}/{letter.sequence_number}-{digest}.json"


def _cause(error: BaseException) -> str:
    if isinstance(error, PermanentError):
        return error.message
    return f"{type(error).__name__}: {error}"
