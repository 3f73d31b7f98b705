"""Large blobs that are uploaded in blocks, in any order and with pauses, and appear at once, whole.

Storage keeps uncommitted blocks for a week, under the name of the blob that they are for.
"""

from __future__ import annotations

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobBlock, StorageErrorCode

from shared.storage.accounts import BlobClients
from shared.storage.answers import Answer, answer, answered, failure
from shared.storage.descriptions import bare_etag


class Staging:
    """Uncommitted blocks of future blobs, in one container.

    Raises:
        TransientError: from every method, when storage stays unavailable through all retries.
        PermanentError: from every method, when storage would never accept the request.
    """

    def __init__(self, client: BlobClients, container: str) -> None:
        self._client = client
        self._container = container

    @property
    def container(self) -> str:
        """The container of the blobs."""
        return self._container

    async def stage(self, name: str, block: str, data: bytes) -> None:
        """Upload one block; uploading it again replaces it.

        ``block`` is its id among the blob's blocks; all of these must have the same length.
        """
        blob = self._client.get_blob_client(self._container, name)
        with answered("write", self._container, name):
            await blob.stage_block(block, data)

    async def staged(self, name: str) -> dict[str, int]:
        """Return the sizes, in bytes by id, of the blocks that wait for `commit`."""
        blob = self._client.get_blob_client(self._container, name)
        with answered("look up", self._container, name, Answer.ABSENT):
            _, waiting = await blob.get_block_list("uncommitted")
            return {str(block.id): int(block.size) for block in waiting}
        return {}

    async def commit(self, name: str, blocks: list[str], metadata: dict[str, str]) -> str | None:
        """Make a blob of staged blocks, in this order, unless it exists.

        Returns:
            The new blob's ETag; None if the blob exists already, or a block is missing.
        """
        blob = self._client.get_blob_client(self._container, name)
        try:
            written = await blob.commit_block_list(
                [BlobBlock(block) for block in blocks],
                metadata=metadata,
                match_condition=MatchConditions.IfMissing,
            )
        except AzureError as error:
            missing = getattr(error, "error_code", None) == StorageErrorCode.INVALID_BLOCK_LIST
            if missing or answer(error) in (Answer.EXISTS, Answer.CHANGED):
                return None
            raise failure("write", self._container, name, error) from error
        return bare_etag(written["etag"])
