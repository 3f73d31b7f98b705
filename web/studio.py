"""The parts of a studio, put together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

from azure.storage.blob.aio import BlobServiceClient

from client.account import Containers
from client.links import Links
from client.pipeline import Pipeline
from shared.storage.blobs import BlobStore
from shared.storage.staging import Staging
from shared.styles.gallery import Gallery, open_gallery
from web.access.guard import Guard
from web.access.seals import Seals
from web.jobs.board import Board
from web.jobs.thumbnails import Thumbnails
from web.live.segments import Segments
from web.metrics import WebMetrics
from web.pieces import Pieces
from web.previews import Previews
from web.settings import WebSettings
from web.uploads import Uploads

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Studio:
    """What requests are answered with."""

    settings: WebSettings
    metrics: WebMetrics
    guard: Guard
    gallery: Gallery
    blobs: BlobStore
    pipeline: Pipeline
    segments: Segments
    pieces: Pieces
    board: Board
    thumbnails: Thumbnails
    uploads: Uploads
    previews: Previews
    storage_url: str
    """Address of the users' storage account."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the studio is stopping."""

    def close(self) -> None:
        """Begin to stop: streams to clients are ended."""
        self.closing.set()
        self.board.wake()

    @classmethod
    def of(
        cls,
        settings: WebSettings,
        blobs: BlobStore,
        media: BlobServiceClient,
        metrics: WebMetrics,
    ) -> Self:
        """Create a studio; ``media`` is the users' account, which ``blobs`` includes.

        Raises:
            ConfigurationError: a style cannot be used.
        """
        gallery = open_gallery(settings.styles_dir, settings.default_style)
        seals = Seals(settings.secret)
        containers = Containers(
            settings.uploads_container, settings.results_container, settings.jobs_container
        )
        cache_bytes = settings.fragments_cache_mib * _MIB
        segments = Segments(blobs, settings.segments_container, cache_bytes)
        return cls(
            settings=settings,
            metrics=metrics,
            guard=Guard(settings, seals),
            gallery=gallery,
            blobs=blobs,
            pipeline=Pipeline(media, containers),
            segments=segments,
            pieces=Pieces(blobs),
            board=Board(blobs, segments, settings.jobs_container),
            thumbnails=Thumbnails(
                blobs, segments, settings.jobs_container, settings.results_container
            ),
            uploads=Uploads(
                blobs,
                Staging(media, settings.uploads_container),
                seals,
                gallery,
                settings.default_style,
                settings.max_upload_mib * _MIB,
                Links(media) if settings.web_direct_uploads else None,
            ),
            previews=Previews(gallery, settings.previews_at_once),
            storage_url=media.url,
        )
