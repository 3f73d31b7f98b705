"""What the sessions of one connection share, each within the connection's limits."""

from __future__ import annotations

from local.eventhubs.amqp.errors import RESOURCE_LIMIT, ConnectionFault
from local.eventhubs.amqp.limits import ConnectionLimits


class Budget:
    """Counts links, and the bytes of messages that are not complete yet."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._links = 0
        self._partial = 0

    @property
    def has_link(self) -> bool:
        """Whether another link may be attached."""
        return self._links < self._limits.max_links

    def count_link(self, change: int) -> None:
        """Count links, including refused ones that the client has not detached yet.

        ``ConnectionFault`` if there are twice as many as allowed, because the client ignores the
        refusals.
        """
        self._links += change
        if self._links > 2 * self._limits.max_links:
            message = f"more than {2 * self._limits.max_links} links on one connection"
            raise ConnectionFault(RESOURCE_LIMIT, message)

    def count_partial(self, change: int) -> None:
        """Count the bytes of incomplete messages; ``ConnectionFault`` beyond the limit."""
        self._partial += change
        if self._partial > self._limits.max_partial_bytes:
            message = "too many bytes of messages that are not complete"
            raise ConnectionFault(RESOURCE_LIMIT, message)
