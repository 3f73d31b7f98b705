"""What jobs were begun with, so that they end with it, whatever changes meanwhile.

An event of an upload may come again hours later, to another splitter: after a kill, a release, or
new settings. By then the upload's metadata may be another, and so its ETag, its style, or the cut
into chunks. So the first to take an event up writes down what it has made of it, once, under a name
that the event alone gives; who comes later goes on with that.

Beside it stands how often the split was begun without getting on: a video that takes its splitter
down is counted where that cannot lose it.
"""

from __future__ import annotations

import hashlib
from typing import Final, Self

from shared.contracts.errors import PermanentError
from shared.contracts.layout import job_id, opening_blob, progress_blob
from shared.contracts.status import SplitProgress, read_progress
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value
from shared.storage.blobs import BlobFacts, BlobStore
from splitter.settings import SplitterSettings
from splitter.upload import Video

_ATTEMPTS: Final = "attempts"
_CHUNKS: Final = "chunks"


class Opening(Value):
    """One version of an upload, its job, its style, and how it is cut into chunks."""

    job_id: str
    video: Video
    style: StyleRequest
    chunk_frames: int
    first_chunk_frames: int
    longest_pause_s: float
    instead_of: str | None = None
    """The job that was given up for this one, which is split anew."""

    @classmethod
    def of(
        cls, name: str, facts: BlobFacts, style: StyleRequest, settings: SplitterSettings
    ) -> Self:
        """Return what a version of an upload is begun with, as ``settings`` are now."""
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
        """Return what the video is split anew with, by whoever does it; its chunks meet no others.

        The job is another: what was told of the earlier one's chunks must not count for it.
        """
        job = hashlib.sha256(f"{self.job_id}\nanew".encode()).hexdigest()[:24]
        return self.model_copy(update={"job_id": job, "instead_of": self.job_id})


class Openings:
    """The openings in one container, ``attempts`` at each without progress.

    ``container`` is out of users' reach: an opening says under which job a video is split. How far
    splits have come is told in ``progress``.

    Raises:
        TransientError: from every method, when storage is away.
    """

    def __init__(self, blobs: BlobStore, container: str, progress: str, attempts: int) -> None:
        self._blobs = blobs
        self._container = container
        self._progress_container = progress
        self._attempts = attempts

    async def find(self, name: str, etag: str) -> Opening | None:
        """Return what version ``etag`` of upload ``name`` was begun with; None if it was not."""
        data = await self._blobs.read(self._container, _blob(name, etag))
        return None if data is None else Opening.model_validate_json(data)

    async def keep(self, name: str, etag: str, opening: Opening) -> tuple[Opening, str | None]:
        """Write down what is begun; return what somebody else wrote before, if it was.

        Returns:
            What stands there now, and the version that was written; None when it stood there.
        """
        blob = _blob(name, etag)
        written = await self._blobs.create(
            self._container, blob, opening.to_json(), content_type="application/json"
        )
        if written is not None:
            return opening, written
        return await self.find(name, etag) or opening, None

    async def renew(self, name: str, etag: str, opening: Opening) -> None:
        """Write down that a video is split anew, unless that is no news."""
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
        """Count that the split is begun once more; ``version`` is of an opening never begun.

        It is counted anew after one that got further than ever, or that ended while it waited: that
        was not what ended its splitter.

        Raises:
            PermanentError: ``SPLIT_POISONED``: it was begun too often.
        """
        blob, begun = _blob(name, etag), None
        if version is not None:
            first = {_ATTEMPTS: "1", _CHUNKS: "0"}
            begun = await self._blobs.annotate(self._container, blob, first, etag=version)
        progress = None if begun else await self._progress(opening.job_id)
        while progress is not None and begun is None:
            facts = await self._blobs.facts(self._container, blob)
            if facts is None:
                return
            before = int(facts.metadata.get(_CHUNKS, "-1"))
            innocent = progress.chunks > before or progress.waiting_for is not None
            made = 0 if innocent else int(facts.metadata.get(_ATTEMPTS, "0"))
            if made >= self._attempts:
                raise PermanentError(
                    "SPLIT_POISONED",
                    f"splitting ended its splitter {made} times at the same place: "
                    "the video is not tried again",
                )
            counted = {_ATTEMPTS: str(made + 1), _CHUNKS: str(max(progress.chunks, before))}
            begun = await self._blobs.annotate(self._container, blob, counted, etag=facts.etag)

    async def _progress(self, job_id: str) -> SplitProgress:
        data = await self._blobs.read(self._progress_container, progress_blob(job_id))
        return read_progress(data) or SplitProgress(frames=0, chunks=0)


def _blob(name: str, etag: str) -> str:
    identity = hashlib.sha256(f"{name}\n{etag}".encode()).hexdigest()[:24]
    return opening_blob(identity)
