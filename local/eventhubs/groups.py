"""Who may read a partition for a consumer group: the rules of epochs.

A reader with an epoch (an owner level, in the SDK's terms) reads alone: it replaces every
reader with a lower or equal epoch or none, and is itself refused if one has a higher
epoch. Readers without an epoch share, up to a limit, and are refused while a reader has
one. The texts are the service's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.eventhubs.amqp.errors import RESOURCE_LIMIT, STOLEN, AmqpError, LinkFault


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A reader's seat; ``evict`` is called when a newer reader takes its place."""

    name: str
    epoch: int | None
    evict: Callable[[AmqpError], None]


class ReaderSeats:
    """The readers of one partition for one consumer group."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def __len__(self) -> int:
        return len(self._readers)

    def admit(self, reader: Reader, max_readers: int) -> None:
        """Admit ``reader``, evicting those that it replaces; a refusal raises ``LinkFault``."""
        highest = max(
            (other for other in self._readers if other.epoch is not None),
            key=lambda other: other.epoch or 0,
            default=None,
        )
        if reader.epoch is None:
            if highest is not None:
                message = (
                    f"At least one receiver for the endpoint is created with epoch of "
                    f"'{highest.epoch}', and so non-epoch receiver is not allowed. Either "
                    f"reconnect with a higher epoch, or make sure all epoch receivers are "
                    f"closed or disconnected."
                )
                raise LinkFault(STOLEN, message)
            if len(self._readers) >= max_readers:
                message = (
                    f"Exceeded the maximum number of allowed receivers per partition in a "
                    f"consumer group which is {max_readers}."
                )
                raise LinkFault(RESOURCE_LIMIT, message)
        elif highest is not None and highest.epoch is not None and highest.epoch > reader.epoch:
            message = (
                f"Receiver '{highest.name}' with a higher epoch '{highest.epoch}' already "
                f"exists. Receiver '{reader.name}' with epoch {reader.epoch} cannot be created. "
                f"Make sure you are creating receiver with increasing epoch value to ensure "
                f"connectivity, or ensure all old epoch receivers are closed or disconnected."
            )
            raise LinkFault(STOLEN, message)
        else:
            self._evict_for(reader)
        self._readers.append(reader)

    def leave(self, reader: Reader) -> None:
        """Free a reader's seat, unless it was evicted."""
        if reader in self._readers:
            self._readers.remove(reader)

    def _evict_for(self, newer: Reader) -> None:
        evicted, self._readers = self._readers, []
        for old in evicted:
            message = (
                f"New receiver '{newer.name}' with higher epoch of '{newer.epoch}' is created "
                f"hence current receiver '{old.name}' with epoch '{old.epoch or 0}' is getting "
                f"disconnected. If you are recreating the receiver, make sure a higher epoch "
                f"is used."
            )
            old.evict(LinkFault(STOLEN, message))
