"""Follows the segments of jobs in storage, and serves their fragments to all viewers."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import PurePosixPath
from typing import Final

from shared.contracts.layout import chunk_blob
from shared.contracts.segment_place import ENCODER, SegmentPlace
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content
from shared.storage.seals import check_seal
from web.live.index import Index
from web.live.remux import codec_of, init_fragment, media_fragment
from web.shared_work import InFlight, SharedBytes

_Maker = Callable[[bytes, SegmentPlace], bytes]

_FRESH_S: Final = 0.4
"""How long a query of storage serves all viewers."""

_EAGER_S: Final = 0.1
"""The same while nothing can be played yet."""

_THOUSAND: Final = 1000
_REMEMBERED: Final = 1000
"""Jobs whose index is kept, and all open ones that somebody asks for."""

_ASKED_FOR_S: Final = 60.0
"""How long after a query an open job counts as asked for."""


class Segments:
    """The painted segments of all jobs.

    A job's fragments share one header. To viewers, segments that do not fit it are not painted yet:
    the assembler has them painted again.

    Raises:
        TransientError: from every method, when storage cannot be reached.
    """

    def __init__(self, blobs: BlobStore, container: str, cache_bytes: int) -> None:
        self._blobs = blobs
        self._container = container
        self._fragments = SharedBytes[tuple[str, int | str]](cache_bytes)
        self._fetching = InFlight[tuple[str, int], Content | None]()
        self._followed: OrderedDict[str, _Followed] = OrderedDict()

    async def index(self, job: str, *, ended: bool) -> Index:
        """Return what is painted of a job; of one that has ``ended``, all that ever will be."""
        followed = self._followed.setdefault(job, _Followed(self._blobs, self._container, job))
        self._followed.move_to_end(job)
        followed.asked = time.monotonic()
        while len(self._followed) > _REMEMBERED and not self._is_oldest_needed():
            self._followed.popitem(last=False)
        return await followed.refresh(ended=ended)

    def _is_oldest_needed(self) -> bool:
        return next(iter(self._followed.values())).is_needed()

    def _fits(self, job: str, metadata: Mapping[str, str]) -> bool:
        followed = self._followed.get(job)
        return followed is None or followed.fits(metadata)

    async def init(self, job: str) -> bytes | None:
        """Return the header of a job's fragments; None while nothing of it is painted."""
        return await self._made(job, 0, "init", lambda segment, _: init_fragment(segment))

    async def codec(self, job: str) -> str | None:
        """Return browsers' name of the codec of a job's segments; None while there are none."""
        header = await self.init(job)
        if header is None:
            return None
        codec = await self._fragments.get((job, "codec"), lambda: _codec_of(header))
        return codec.decode()

    async def fragment(self, job: str, number: int) -> bytes | None:
        """Return a segment's fragment; None if it is not painted yet, or already deleted."""
        return await self._made(
            job,
            number,
            number,
            lambda segment, place: media_fragment(segment, place.first_tick, number),
        )

    async def segment(self, job: str, number: int) -> bytes | None:
        """Return a stored segment; None if it is not there."""
        content = await self._fetch(job, number)
        return None if content is None else content.data

    async def _made(self, job: str, number: int, kind: int | str, make: _Maker) -> bytes | None:
        """Return what ``make`` makes of a segment, which is kept; None while there is none."""

        async def fetch_and_make() -> bytes:
            content = await self._fetch(job, number)
            if content is None:
                raise _Missing
            place = SegmentPlace.read(content.metadata)
            if place is None or not self._fits(job, content.metadata):
                raise _Missing
            return await asyncio.to_thread(make, content.data, place)

        try:
            return await self._fragments.get((job, kind), fetch_and_make)
        except _Missing:
            return None

    async def _fetch(self, job: str, number: int) -> Content | None:
        """Return a segment from storage; simultaneous calls share one request."""
        return await self._fetching.get((job, number), lambda: self._fetch_checked(job, number))

    async def _fetch_checked(self, job: str, number: int) -> Content | None:
        content = await self._blobs.fetch(self._container, chunk_blob(job, number))
        if content is not None:
            check_seal(content, f"segment {number}", "CORRUPT_SEGMENT")
        return content


async def _codec_of(header: bytes) -> bytes:
    return (await asyncio.to_thread(codec_of, header)).encode()


class _Missing(Exception):
    """There is no such segment."""


class _Followed:
    """One job's index, updated by listing the segments that may be new."""

    def __init__(self, blobs: BlobStore, container: str, job: str) -> None:
        self._blobs = blobs
        self._container = container
        self._job = job
        self._index = Index()
        self._encoder: str | None = None
        """The encoder mark of the first segment, whose header is used; None while unknown."""
        self._looked = float("-inf")
        self._complete = False
        """Whether storage was queried after the job's end."""
        self._looking = asyncio.Lock()
        self.asked = float("-inf")

    def is_needed(self) -> bool:
        """Return whether dropping it would have an open job's segments listed from the first on."""
        return not self._complete and time.monotonic() - self.asked < _ASKED_FOR_S

    async def refresh(self, *, ended: bool) -> Index:
        async with self._looking:
            if not self._complete and (ended or self._is_old()):
                await self._catch_up()
                self._looked = time.monotonic()
                self._complete = ended
        return self._index

    def _is_old(self) -> bool:
        fresh_s = _FRESH_S if self._index.playable else _EAGER_S
        return time.monotonic() - self._looked >= fresh_s

    def fits(self, metadata: Mapping[str, str]) -> bool:
        """Return whether a segment fits the first one, as far as is known."""
        return self._encoder in (None, _encoder(metadata))

    async def _catch_up(self) -> None:
        """List segments by the thousand, from that with the first gap, while thousands are full."""
        while True:
            begin, far = divmod(len(self._index.playable), _THOUSAND)
            # Segments are painted less than five hundred ahead.
            thousands = (begin,) if far < _THOUSAND // 2 else (begin, begin + 1)
            for thousand in thousands:
                self._index.add([found async for found in self._list(thousand)])
            if len(self._index.playable) // _THOUSAND == begin:
                return

    async def _list(self, thousand: int) -> AsyncIterator[tuple[int, SegmentPlace]]:
        # A chunk's number has eight digits.
        prefix = f"{self._job}/{thousand:05d}"
        async for item in self._blobs.items(self._container, prefix):
            place, number = SegmentPlace.read(item.metadata), int(PurePosixPath(item.name).stem)
            if place is None:
                continue
            if number == 0 and self._encoder is None:
                self._encoder = _encoder(item.metadata)
                # Segments that were listed before this was known are listed once more.
                self._index.ahead.clear()
            if self.fits(item.metadata):
                yield number, place


def _encoder(metadata: Mapping[str, str]) -> str:
    return metadata.get(ENCODER, "")
