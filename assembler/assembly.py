"""Makes and publishes one job's result: fetch, mux, verify, upload."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import av.error
import structlog

from assembler.mux import mux
from assembler.publication import Publication
from assembler.settings import AssemblerSettings
from assembler.verify import verify
from shared.contracts.errors import ResultError, TrackError
from shared.contracts.layout import chunk_blob
from shared.contracts.manifest import Manifest
from shared.media.containers import is_full
from shared.storage.blobs import BlobStore, Content
from shared.storage.sealed_files import SealedFile
from shared.storage.seals import check_seal, file_digest
from shared.storage.work_folders import work_folder
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()

_OF_SEGMENTS = ("SEGMENT_COUNT", "SEGMENT_MISSING")
_NOTHING_BESIDE = (
    "everything beside the picture is left out (sound, text, chapters, titles): with it, the "
    "result cannot be written"
)


class Published(NamedTuple):
    """A result: its blob's name, and a sentence for each track that it had to go without."""

    name: str
    losses: tuple[str, ...]


class Assembly:
    """Turns complete sets of segments into published results."""

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        publication: Publication,
        metrics: WorkMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._publication = publication
        self._metrics = metrics
        # Threads of their own: those of the loop resolve names, which the muxer's fetches wait for.
        self._threads = ThreadPoolExecutor(settings.assemblies, "assembly")

    async def run(self, manifest: Manifest) -> Published:
        """Make the result of ``manifest`` and publish it atomically.

        A painted video is not thrown away for a track beside the picture: one that cannot be
        written as it was is left out. Doing it twice publishes once: the second finds the first's
        result.

        Raises:
            ResultError, ChunkError: the segments do not make exactly the promised result, or there
                is no room to make it (``NO_SPACE``).
            TransientError: storage stayed away.
        """
        try:
            return await self._make(manifest)
        except OSError as error:
            if not is_full(error):
                raise
            folder = self._settings.work_dir or tempfile.gettempdir()
            raise ResultError(
                "NO_SPACE",
                f"the result does not fit into the work folder {folder}: give it more room, "
                "and submit the video again",
            ) from error

    async def _make(self, manifest: Manifest) -> Published:
        with work_folder(self._settings.work_dir) as folder:
            out = folder / f"result.{manifest.source.container}"
            side = await self._fetch_side(manifest, folder)
            checked, losses = await self._write_what_fits(manifest, side, out)
            with self._metrics.timed("publish"):
                return Published(await self._publication.publish(manifest, checked), losses)

    async def _write_what_fits(
        self, manifest: Manifest, side: Path | None, out: Path
    ) -> tuple[SealedFile, tuple[str, ...]]:
        """Write a result without the tracks that spoil it; return a sentence for each of those.

        Where no track is known to be at fault, it is written without anything beside the picture
        before it is given up.
        """
        losses: list[str] = []
        left_out: frozenset[int] = frozenset()
        while True:
            try:
                return await self._write(manifest, side, out, left_out), tuple(losses)
            except (ResultError, av.error.FFmpegError) as error:
                if side is None or _is_of_others(error):
                    raise
                at_fault = error.tracks - left_out if isinstance(error, TrackError) else frozenset()
                if at_fault:
                    left_out |= at_fault
                    losses += [
                        f"{_named(manifest, number)} is left out: {error}"
                        for number in sorted(at_fault)
                    ]
                else:
                    log.error("writing without copied tracks", exc_info=error)
                    side = None
                    losses.append(_NOTHING_BESIDE)

    async def _write(
        self, manifest: Manifest, side: Path | None, out: Path, left_out: frozenset[int]
    ) -> SealedFile:
        loop = asyncio.get_running_loop()
        with self._metrics.timed("mux"):
            segments = self._segments(manifest, loop)
            await loop.run_in_executor(self._threads, mux, manifest, segments, side, out, left_out)
        with self._metrics.timed("verify"):
            # Before the check, so that nothing can be damaged between the two.
            digest = await loop.run_in_executor(self._threads, file_digest, out)
            await loop.run_in_executor(self._threads, verify, manifest, side, out, left_out)
        return SealedFile(out, digest)

    async def _fetch_side(self, manifest: Manifest, folder: Path) -> Path | None:
        if manifest.side is None:
            return None
        path = folder / Path(manifest.side).name
        if not await self._blobs.download(self._settings.frames_container, manifest.side, path):
            raise ResultError("SIDE_MISSING", "the job's copied tracks are gone from storage")
        loop = asyncio.get_running_loop()
        digest = await loop.run_in_executor(self._threads, file_digest, path)
        if digest != manifest.side_sha256:
            raise ResultError("CORRUPT_SIDE", "the job's copied tracks were damaged in storage")
        return path

    def _segments(self, manifest: Manifest, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
        """Yield the segments in order to the muxer's thread, a few fetched ahead."""
        ahead: deque[tuple[int, Future[Content | None]]] = deque()
        chunks = iter(manifest.chunks)
        while True:
            while len(ahead) < self._settings.downloads_ahead and (chunk := next(chunks, None)):
                read = self._blobs.fetch(
                    self._settings.segments_container, chunk_blob(manifest.job_id, chunk.index)
                )
                ahead.append((chunk.index, asyncio.run_coroutine_threadsafe(read, loop)))
            if not ahead:
                return
            index, future = ahead.popleft()
            segment = future.result()
            if segment is None:
                raise ResultError("SEGMENT_MISSING", f"segment {index} is gone from storage")
            check_seal(segment, f"segment {index}", "CORRUPT_SEGMENT")
            yield segment.data


def _is_of_others(error: Exception) -> bool:
    """Tell whether an error is of the segments, or of the machine, whatever lies beside them."""
    if isinstance(error, ResultError):
        return error.code in _OF_SEGMENTS
    return is_full(error)


def _named(manifest: Manifest, number: int) -> str:
    """Name one of the copied tracks as its user knows it."""
    if number >= len(manifest.source.tracks):
        return f"copied track {number + 1}"
    track = manifest.source.tracks[number]
    what = ", ".join(word for word in (track.codec, track.language) if word)
    return f"copied track {number + 1}, {track.kind} ({what}),"
