"""Records of what each job was begun with, so that it ends the same way whatever changes.

An upload's event may be delivered again hours later, to another splitter: after a crash, a release
or a change of settings. By then the upload's metadata may have changed, and with it its ETag, its
style or its division into chunks. So the first splitter to handle an event records what it made of
it, once, under a name derived from the event alone; later deliveries continue from that record.

The record's metadata counts the attempts without progress, because a video that crashes its
splitter must be counted where the crash cannot lose the count.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Final, Self

from shared.contracts.errors import PermanentError
from shared.contracts.layout import job_id, opening_blob, renewed_job
from shared.contracts.status import SplitProgress
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts
from shared.storage.progress import load_progress
from splitter.settings import SplitterSettings
from splitter.upload import Video

_ATTEMPTS: Final = "attempts"
_CHUNKS: Final = "chunks"
_BY: Final = "attempted_by"
"""Which splitter has counted the last attempt."""
_SEEN: Final = "seen"
"""When the record of progress that was looked at last had been written."""


class Opening(Value):
    """One version of an upload, its job, its style, and how it is cut into chunks."""

    job_id: str
    video: Video
    style: StyleRequest
    chunk_frames: int
    first_chunk_frames: int
    longest_pause_s: float
    instead_of: str | None = None
    """The abandoned job that this one replaces."""

    @classmethod
    def of(
        cls, name: str, facts: BlobFacts, style: StyleRequest, settings: SplitterSettings
    ) -> Self:
        """Return the opening of a version of an upload under the current ``settings``."""
        return cls(
            job_id=job_id(settings.uploads_container, name, facts.etag, style),
            video=Video(
                name=name,
                url=facts.url,
                etag=facts.etag,
                size=facts.size,
                uploaded_at=facts.modified,
            ),
            style=style,
            chunk_frames=settings.chunk_frames,
            first_chunk_frames=settings.first_chunk_frames,
            longest_pause_s=settings.longest_pause_s,
        )

    def renewed(self) -> Opening:
        """Return the opening of the job that replaces this one; see `renewed_job`."""
        job = renewed_job(self.job_id)
        return self.model_copy(update={"job_id": job, "instead_of": self.job_id})


class Openings:
    """The openings in one container, each with up to ``attempts`` attempts without progress.

    ``container`` must be out of users' reach, since an opening decides which job a video belongs
    to. ``progress`` is the container of the splits' progress records.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, blobs: BlobStore, container: str, progress: str, attempts: int) -> None:
        self._blobs = blobs
        self._container = container
        self._progress = progress
        self._attempts = attempts
        self._splitter = uuid.uuid4().hex

    async def find(self, name: str, etag: str) -> Opening | None:
        """Return the opening of version ``etag`` of upload ``name``; None if there is none."""
        data = await self._blobs.read(self._container, _blob(name, etag))
        return None if data is None else Opening.model_validate_json(data)

    async def keep(self, name: str, etag: str, opening: Opening) -> tuple[Opening, str | None]:
        """Store an opening unless there is one already.

        Returns:
            The opening that is stored now, and the blob's version if this call wrote it, else None.
        """
        blob = _blob(name, etag)
        written = await self._blobs.create(
            self._container, blob, opening.to_json(), content_type="application/json"
        )
        if written is not None:
            return opening, written
        return await self.find(name, etag) or opening, None

    async def renew(self, name: str, etag: str, opening: Opening) -> None:
        """Replace the abandoned job's opening, unless another splitter has done so already."""
        blob, written = _blob(name, etag), None
        while written is None:
            found = await self._blobs.fetch(self._container, blob)
            if found is None:
                return
            if Opening.model_validate_json(found.data).job_id != opening.instead_of:
                return
            written = await self._blobs.replace(
                self._container, blob, opening.to_json(), etag=found.etag
            )

    async def begin(
        self, name: str, etag: str, opening: Opening, version: str | None = None
    ) -> None:
        """Count one more attempt; ``version`` is that of an opening never begun before.

        An attempt that was counted here has not ended this splitter: it is not counted again, also
        if the answer of storage was lost. The count restarts after an attempt that got further than
        all before it or that ended while waiting: the video was not what ended that splitter.

        Raises:
            PermanentError: ``SPLIT_POISONED``: there were too many attempts without progress.
        """
        blob = _blob(name, etag)
        if version is not None:
            first = {_ATTEMPTS: "1", _CHUNKS: "0", _BY: self._splitter}
            if await self._blobs.annotate(self._container, blob, first, etag=version):
                return
        progress = await load_progress(self._blobs, self._progress, opening.job_id)
        while (facts := await self._blobs.facts(self._container, blob)) is not None:
            if facts.metadata.get(_BY) == self._splitter:
                return
            reached = progress or SplitProgress(frames=0, chunks=0)
            counted = {**self._count(facts.metadata, reached), _BY: self._splitter}
            if await self._blobs.annotate(self._container, blob, counted, etag=facts.etag):
                return

    def _count(self, metadata: dict[str, str], progress: SplitProgress) -> dict[str, str]:
        """Return an opening's metadata with one more attempt, after attempts that got so far."""
        before = int(metadata.get(_CHUNKS, "-1"))
        # An attempt that ended before it recorded anything has left an earlier one's record.
        news = progress.at != metadata.get(_SEEN, "")
        waited = news and progress.waiting_for is not None
        resets_count = progress.chunks > before or waited
        made = 0 if resets_count else int(metadata.get(_ATTEMPTS, "0"))
        if made >= self._attempts:
            raise PermanentError(
                "SPLIT_POISONED",
                f"splitting the video ended the splitter {made} times at the same place: convert "
                "it to H.264, for example, and upload that",
            )
        counted = {_ATTEMPTS: str(made + 1), _CHUNKS: str(max(progress.chunks, before))}
        return {**counted, _SEEN: progress.at} if progress.at else counted


def _blob(name: str, etag: str) -> str:
    identity = hashlib.sha256(f"{name}\n{etag}".encode()).hexdigest()[:24]
    return opening_blob(identity)
