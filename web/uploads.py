"""Accepts uploads in blocks, so that a broken connection costs one block instead of the video.

An open upload is a sealed text in the browser: the studio stores nothing, and any instance can take
any block. Storage keeps the blocks for a week. Only a complete list of blocks becomes a blob,
atomically, with the style request as its metadata. The first folder of its name says whose it is.

If the account allows it, browsers send blocks directly to storage, with a link for that one name.
Whoever has the link can also commit the blob with other metadata, which can do no more than the
metadata of any upload.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Final

import structlog

from client.links import Links
from shared.contracts.errors import StyleError, StylestreamError, TransientError
from shared.contracts.layout import job_id
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import format_style_request, parse_style_request
from shared.storage.blobs import BlobStore
from shared.storage.staging import Staging
from shared.styles.gallery import Gallery
from web.access.seals import Seals
from web.access.users import User
from web.models import NewUpload, Received, Submitted, Upload
from web.problems import Problem, bad_request, not_found

log = structlog.get_logger()

BLOCK_BYTES: Final = 4 << 20
_PURPOSE: Final = "upload"
_LIFETIME_S: Final = 6 * 24 * 3600
"""A little less than storage keeps uncommitted blocks."""

_LINK_HOURS: Final = 2.0
"""Longer uploads request another link."""

_NAME_LENGTH: Final = 200
_UNWELCOME: Final = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\?#%*:|"<>'
    # What turns the direction of writing, which can hide an ending, and what XML, the form of
    # storage's lists, cannot express
    r"\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """The content of an upload's sealed text."""

    name: str
    size: int
    owner: str | None
    metadata: dict[str, str]

    @property
    def blocks(self) -> int:
        return math.ceil(self.size / BLOCK_BYTES)

    def length(self, number: int) -> int:
        return min(BLOCK_BYTES, self.size - number * BLOCK_BYTES)


def requested(texts: Mapping[str, str], default_style: str, gallery: Gallery) -> StyleRequest:
    """Return the style request that texts make.

    Raises:
        Problem: they make none, or name a style that the gallery does not have.
    """
    try:
        request = parse_style_request(texts, default_style)
        gallery.require(request)
    except StyleError as error:
        raise bad_request(error.message) from error
    return request


class Uploads:
    """Opens uploads, accepts their blocks, and completes them.

    Raises:
        Problem: from every method, when the request cannot be fulfilled.
        TransientError: from every method, when storage cannot be reached.
    """

    def __init__(
        self,
        blobs: BlobStore,
        staging: Staging,
        seals: Seals,
        gallery: Gallery,
        default_style: str,
        most_bytes: int,
        links: Links | None,
    ) -> None:
        self._blobs = blobs
        self._staging = staging
        self._container = staging.container
        self._seals = seals
        self._gallery = gallery
        self._default_style = default_style
        self._most_bytes = most_bytes
        self._links = links

    async def open(self, new: NewUpload, user: User) -> Upload:
        """Return an upload's sealed text and how to send its blocks."""
        if new.size > self._most_bytes:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the video has {new.size} bytes, and this studio accepts up to {self._most_bytes}",
            )
        texts = new.model_dump(exclude={"name", "size"})
        request = requested(texts, self._default_style, self._gallery)
        video = _safe(new.name)
        # A folder for each upload, so that videos with the same name do not mix their blocks.
        name = f"{user.folder}/{secrets.token_hex(4)}/{video}"
        opened = _Opened(name, new.size, user.id, format_style_request(request))
        return Upload(
            upload=self._seals.seal(_PURPOSE, asdict(opened)),
            video=video,
            block_bytes=BLOCK_BYTES,
            blocks=opened.blocks,
            link=await self._link(name),
        )

    async def take(self, upload: str, number: int, data: bytes, user: User) -> None:
        """Store one block; the same block again replaces it."""
        opened = self._unseal(upload, user)
        if not 0 <= number < opened.blocks:
            raise bad_request(f"the upload has blocks 0 to {opened.blocks - 1}, not {number}")
        if len(data) != opened.length(number):
            raise bad_request(
                f"block {number} must have {opened.length(number)} bytes, not {len(data)}"
            )
        await self._staging.stage(opened.name, _block(number), data)

    async def received(self, upload: str, user: User) -> Received:
        """Return which blocks are stored."""
        opened = self._unseal(upload, user)
        staged = await self._staging.staged(opened.name)
        there = (n for n in range(opened.blocks) if staged.get(_block(n)) == opened.length(n))
        return Received(blocks=tuple(there), link=await self._link(opened.name))

    async def complete(self, upload: str, user: User) -> Submitted:
        """Commit the video, which starts its job; doing so twice starts one job."""
        opened = self._unseal(upload, user)
        blocks = [_block(number) for number in range(opened.blocks)]
        etag = await self._staging.commit(opened.name, blocks, opened.metadata)
        if etag is None:
            facts = await self._blobs.facts(self._container, opened.name)
            if facts is None:
                raise Problem(
                    HTTPStatus.CONFLICT, "some blocks of the upload are missing: send them"
                )
            etag = facts.etag
        style = parse_style_request(opened.metadata, self._default_style)
        video = opened.name.rpartition("/")[2]
        return Submitted(job=job_id(self._container, opened.name, etag, style), video=video)

    async def _link(self, name: str) -> str | None:
        """Return a link for an upload's blocks; None if they have to go through the studio."""
        if self._links is None:
            return None
        try:
            return await self._links.upload(self._container, name, _LINK_HOURS, overwrite=True)
        except TransientError:
            raise
        except StylestreamError as error:  # it is complete, or storage gives no key
            log.info("upload without a link", reason=str(error))
            return None

    def _unseal(self, upload: str, user: User) -> _Opened:
        value = self._seals.open(_PURPOSE, upload, _LIFETIME_S)
        if value is None or value["owner"] != user.id:
            raise not_found("the upload does not exist, or is older than six days: start again")
        return _Opened(**value)


def _block(number: int) -> str:
    """Return a block's id; storage requires all ids to have the same length."""
    return f"{number:05d}"


def _safe(name: str) -> str:
    """Return a file's name in a form that is valid for blobs, file systems and headers.

    A name that is too long is shortened before its ending.
    """
    words = " ".join(_UNWELCOME.sub("_", name.rsplit("/", 1)[-1]).split()).strip(". ") or "video"
    stem, dot, ending = words.rpartition(".")
    if not stem or len(ending) > 8:  # noqa: PLR2004 - longer than any video's ending
        stem, dot, ending = words, "", ""
    room = _NAME_LENGTH - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending
