"""Deletes what ended jobs no longer need: everything but their records and their results."""

from __future__ import annotations

from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_blob, manifest_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import AnyMessage, SegmentReady, SplitCompleted, SplitFailed
from shared.storage.blobs import BlobStore
from shared.storage.progress import delete_progress


class Cleanup:
    """Deletes the intermediates of ended jobs, unless they are kept.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore) -> None:
        self._settings = settings
        self._blobs = blobs

    async def sweep(
        self, job_id: str, painted: Manifest | None = None, *, leftovers: bool = True
    ) -> None:
        """Delete an ended job's intermediates.

        ``painted`` is the manifest of a job with a result: it says which segments there are and,
        without ``leftovers``, all that its split has stored.
        """
        if self._settings.keep_intermediates:
            return
        frames = self._settings.frames_container
        if painted is None or leftovers:
            await self._blobs.delete_all(frames, f"{job_id}/")
            await delete_progress(self._blobs, self._settings.jobs_container, job_id)
        else:
            await self._blobs.delete_each(frames, _named_in(painted))
        if not self._segments_stay:
            segments = self._settings.segments_container
            if painted is None:
                await self._blobs.delete_all(segments, f"{job_id}/")
            else:
                await self._blobs.delete_each(segments, _chunks_of(painted))

    async def sweep_after(self, event: AnyMessage) -> None:
        """Delete what was stored after the event's job had ended."""
        if isinstance(event, SplitCompleted | SplitFailed):
            await self.sweep(event.job_id)
        elif isinstance(event, SegmentReady) and not self._segments_stay:
            name = chunk_blob(event.job_id, event.chunk)
            await self._blobs.delete(self._settings.segments_container, name)

    @property
    def _segments_stay(self) -> bool:
        """Whether segments are kept for now: see `assembler.lingering`."""
        return self._settings.keep_intermediates or self._settings.segments_linger_s > 0


def _chunks_of(manifest: Manifest) -> list[str]:
    """Return the blobs of a job's chunks, and of its segments, which have the same names."""
    return [chunk_blob(manifest.job_id, chunk.index) for chunk in manifest.chunks]


def _named_in(manifest: Manifest) -> list[str]:
    """Return the blobs of a split: what its manifest names, and at the end the manifest itself."""
    side = [manifest.side] if manifest.side else []
    return [*_chunks_of(manifest), *side, manifest_blob(manifest.job_id)]
