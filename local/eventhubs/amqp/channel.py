"""What a link needs of its session."""

from __future__ import annotations

from typing import Protocol

from local.eventhubs.amqp.performatives import Performative


class Flowing(Protocol):
    """The state of a link that a flow frame carries."""

    handle: int
    delivery_count: int
    credit: int


class Channel(Protocol):
    """A session, as its links see it."""

    @property
    def ended(self) -> bool:
        """Whether nothing more can be written."""

    @property
    def has_room(self) -> bool:
        """Whether the client's window has room for another transfer."""

    def write(self, performative: Performative, payload: bytes = b"") -> None:
        """Send a performative."""

    def write_flow(
        self, link: Flowing | None = None, *, drain: bool = False, echo: bool = False
    ) -> None:
        """Send the state of the session, and of ``link`` if there is one."""

    def transfer(self, handle: int, payload: bytes, *, settled: bool, batchable: bool) -> None:
        """Send a message on the link with our ``handle``."""

    def reserve(self, size: int) -> None:
        """Count bytes of incomplete messages."""

    def release(self, size: int) -> None:
        """Undo what ``reserve`` counted."""
