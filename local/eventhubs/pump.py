"""Move events from a partition to one reader, as fast as the reader takes them.

A pump never holds more than one read of events: it sends while the reader has credit, its
session has room and its socket is not backed up. It is run again when one of the three
changes, or after the partition's next commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from local.eventhubs.amqp.errors import INTERNAL_ERROR, LinkFault
from local.eventhubs.amqp.links import LinkState, OutgoingLink
from local.eventhubs.eventdata import outgoing
from local.eventhubs.hub import Partition, now_ms

_LOGGER: Final = logging.getLogger(__name__)
# After this many reads, other connections get their turn.
_READS_PER_TURN: Final = 4
_EVENTS_PER_READ: Final = 256


class Outlet(Protocol):
    """What a pump needs of its connection, through which frames leave."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket accepts more."""

    def flush(self) -> None:
        """Pass what the engine wrote to the socket."""


class ReaderPump:
    """The cursor of one reader, and what advances it."""

    def __init__(
        self,
        link: OutgoingLink,
        partition: Partition,
        offset: int,
        outlet: Outlet,
        *,
        tracks_last_enqueued: bool,
    ) -> None:
        self._link = link
        self._partition = partition
        self._offset = offset
        self._outlet = outlet
        self._tracks = tracks_last_enqueued
        self._scheduled: asyncio.Handle | None = None
        self._wake: Callable[[], None] = self.run

    def stop(self) -> None:
        """Send nothing more."""
        self._partition.forget(self._wake)
        if self._scheduled is not None:
            self._scheduled.cancel()

    def run(self) -> None:
        """Send what can be sent now, and schedule the rest."""
        self._scheduled = None
        try:
            for _ in range(_READS_PER_TURN):
                if not (self._link.can_send and self._outlet.is_writable):
                    return
                if not self._send_one_read():
                    self._caught_up()
                    return
            self._scheduled = asyncio.get_running_loop().call_soon(self.run)
        except Exception as error:  # whatever it is, the reader must not wait in vain
            _LOGGER.error("cannot read partition %s: %r", self._partition.name, error)
            self._link.detach(LinkFault(INTERNAL_ERROR, "The events could not be read."))
            self._outlet.flush()

    def _send_one_read(self) -> bool:
        """Send one read of events; return whether there were any."""
        events = self._partition.read(self._offset, min(self._link.credit, _EVENTS_PER_READ))
        tracked = self._partition.last_enqueued if self._tracks else None
        now = now_ms() if self._tracks else 0
        for event in events:
            if not self._link.can_send:
                break
            self._link.send(outgoing(event, tracked, now), settled=True, batchable=True)
            self._offset = event.next_offset
        self._outlet.flush()
        return bool(events)

    def _caught_up(self) -> None:
        if self._link.drain and self._link.state is LinkState.ATTACHED:
            self._link.drained()
            self._outlet.flush()
        else:
            self._partition.when_more(self._wake)
