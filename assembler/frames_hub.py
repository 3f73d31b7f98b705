"""The frames hub as the assembler sees it: how far it was processed, and chunks sent again."""

from __future__ import annotations

from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_partition
from shared.contracts.manifest import Manifest
from shared.contracts.messages import ChunkReady
from shared.hubs.publisher import Publisher
from shared.hubs.reach import Reach
from shared.service.checkpoints import HubPositions
from shared.storage.blobs import BlobStore


class FramesHub:
    """Looks up the stylizers' positions, and sends lost chunks again in the splitter's place.

    Raises:
        TransientError: from every method, when the hub or storage is unavailable.
    """

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore, publisher: Publisher) -> None:
        self._positions = HubPositions(blobs, settings, settings.frames_hub)
        self._publisher = publisher

    async def reach(self) -> Reach:
        """Return how far the hub goes, and how far the stylizers have processed it."""
        return await Reach.look_up(self._publisher, self._positions)

    async def send_again(
        self,
        manifest: Manifest,
        chunk: int,
        *,
        steps: int,
        resend: int,
        on_processor: bool,
        styles: str,
    ) -> None:
        """Send a chunk's reference as the splitter did, with how its segment has to be made.

        It goes to the partition that is ``steps`` from the one that the splitter chose. ``resend``
        counts from 1.
        """
        partitions = await self._publisher.partitions()
        place = chunk_partition(manifest.job_id, chunk + steps, len(partitions))
        event = ChunkReady.of(
            manifest.job_id, manifest.source, manifest.style, manifest.chunks[chunk]
        )
        how = {"resend": resend, "on_processor": on_processor, "styles": styles}
        event = event.model_copy(update=how)
        await self._publisher.to_partition(event, partitions[place])
