"""Whether this machine's clock agrees with that of the pipeline's own storage."""

from __future__ import annotations

from shared.contracts.errors import TransientError
from shared.storage.last_answer import LastAnswer


class StorageClock:
    """Compares this machine's clock with storage's, as in its ``last`` answer.

    Consumers compare the time of an owner's last renewal, by storage's clock, with their own clock:
    one that is ahead keeps taking partitions from live owners.
    """

    def __init__(self, last: LastAnswer, ownership_expiry_s: float) -> None:
        self._last = last
        self._expiry_s = ownership_expiry_s

    async def check(self) -> None:
        """Return if the clocks agree, or if storage has not answered yet.

        Raises:
            TransientError: they are too far apart.
        """
        ahead_s = self._last.ahead_s
        # Owners renew at their first look after a third of the expiry: this much is left for skew.
        if abs(ahead_s) > self._expiry_s / 3:
            direction = "ahead of" if ahead_s > 0 else "behind"
            raise TransientError(
                f"this machine's clock is {abs(ahead_s):.0f} s {direction} storage's, too much "
                f"for OWNERSHIP_EXPIRY_S={self._expiry_s:g}: consumers take partitions from each "
                "other; correct the clock"
            )
