"""Whether the pipeline's own storage answers, and whether its clock and this machine's agree."""

from __future__ import annotations

import time

from shared.contracts.errors import TransientError
from shared.storage.blobs import BlobStore


class OwnStorage:
    """Two probes of one dependency, which is asked once for both, for ``container``.

    Consumers hold how long an owner was silent, by storage's clock, against their own: one that is
    ahead takes partitions from owners that live, again and again.
    """

    def __init__(self, blobs: BlobStore, container: str, ownership_expiry_s: float) -> None:
        self._blobs = blobs
        self._container = container
        self._expiry_s = ownership_expiry_s
        self._ahead_s = 0.0
        """How far this machine's clock is ahead, by the last answer."""

    async def reach(self) -> None:
        """Return if storage answers, and note its clock.

        Raises:
            TransientError: it does not.
        """
        self._ahead_s = time.time() - await self._blobs.clock_s(self._container)

    async def check_clock(self) -> None:
        """Return if the clocks agree, or if storage was never heard.

        Raises:
            TransientError: they are too far apart.
        """
        # Owners renew after a third, at their next look: so much is left for clocks to differ.
        if abs(self._ahead_s) > self._expiry_s / 3:
            direction = "ahead of" if self._ahead_s > 0 else "behind"
            raise TransientError(
                f"this machine's clock is {abs(self._ahead_s):.0f} s {direction} storage's, too "
                f"much for OWNERSHIP_EXPIRY_S={self._expiry_s:g}: consumers take partitions from "
                "each other; set the clock"
            )
