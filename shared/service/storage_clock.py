"""Whether the pipeline's own storage answers, and whether its clock and this machine's agree."""

from __future__ import annotations

from shared.contracts.errors import TransientError
from shared.storage.last_answer import LastAnswer


class StorageClock:
    """Compares this machine's clock with storage's, as its ``last`` answer has it.

    Consumers hold how long an owner was silent, by storage's clock, against their own: one that is
    ahead takes partitions from owners that live, again and again.
    """

    def __init__(self, last: LastAnswer, ownership_expiry_s: float) -> None:
        self._last = last
        self._expiry_s = ownership_expiry_s

    async def check(self) -> None:
        """Return if the clocks agree, or if storage was never heard.

        Raises:
            TransientError: they are too far apart.
        """
        ahead_s = self._last.ahead_s
        # Owners renew after a third, at their next look: so much is left for clocks to differ.
        if abs(ahead_s) > self._expiry_s / 3:
            direction = "ahead of" if ahead_s > 0 else "behind"
            raise TransientError(
                f"this machine's clock is {abs(ahead_s):.0f} s {direction} storage's, too "
                f"much for OWNERSHIP_EXPIRY_S={self._expiry_s:g}: consumers take partitions from "
                "each other; set the clock"
            )
