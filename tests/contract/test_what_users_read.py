"""Whatever goes wrong while a result is made, the record explains it in one sentence."""

from __future__ import annotations

import asyncio
import errno
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import pytest
from assembler_bench import Bench, running, started
from contract.test_side_files import manifest_of, split_with
from manifests import store_whole
from videos import Video

from assembler import assembly
from shared.contracts.layout import chunk_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import SegmentReady, SplitCompleted
from shared.storage.seals import seal
from splitter.media.split import SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOR_PROGRAMMERS = re.compile(
    r"/\w+/|\w+Error\b|\w+Exception\b|[Ee]rrno|Traceback|[<>{}]|\bobject at\b|__|\.py\b|\n|None"
)

Spoil = Callable[[bytes], bytes | None]


def other_size(_: bytes) -> bytes:
    video = io.BytesIO(Video(frames=8, size=(96, 64)).make())
    return next(e.data for e in split(video, SplitOptions(), Path("unused")) if hasattr(e, "data"))


SPOILT_SEGMENTS: dict[str, Spoil] = {
    "rubbish": lambda data: b"rubbish" * len(data),
    "cut off": lambda data: data[: len(data) // 2],
    "without a picture": lambda data: data.replace(b"vide", b"soun"),
    "of another size": other_size,
    "gone": lambda _: None,
}
FILE = "/tmp/stylestream-work-abc/result.mp4"
RAISED: dict[str, Exception | bytes] = {
    "nothing, but nobody can read the result": b"not a video",
    "by Python": RuntimeError(f"cannot write {FILE}"),
    "by a codec's name": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "by the disk": OSError(errno.EIO, "Input/output error", FILE),
    "by FFmpeg": av.error.ExternalError(-1, "Generic error in an external library", FILE),
}


async def sentence(bench: Bench, manifest: Manifest, segments: list[bytes | None]) -> str:
    """Have a job with these segments assembled, and return what its record tells."""
    job, settings = manifest.job_id, bench.settings
    await bench.hub.by_job(started(job))
    await store_whole(bench.blobs, settings.frames_container, manifest)
    await bench.hub.by_job(SplitCompleted(job_id=job, chunks=len(segments), frames=8))
    for chunk, data in zip(manifest.chunks, segments, strict=True):
        name = chunk_blob(job, chunk.index)
        if data is not None:
            await bench.blobs.create(settings.segments_container, name, data, metadata=seal(data))
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk.index, frames=chunk.frames))
    status = await bench.ended(job)
    assert status.error
    return status.error.message


def is_for_people(message: str) -> bool:
    sentences = len(re.findall(r"[.!?](?=\s|$)", message))
    return message[:1].isalpha() and sentences <= 1 and not FOR_PROGRAMMERS.search(message)


async def test_the_record_of_a_failed_job_is_written_for_people(
    storage_connection: str,
    eventhub_connection: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side, mux = tmp_path / "side", assembly.mux
    source, chunks, _ = split_with(side)
    whole = [chunk.data for chunk in chunks]
    raised: dict[str, Exception | bytes] = {}

    def raising(
        manifest: Manifest, segments: Iterable[bytes], _: object, out: Path, *__: object
    ) -> None:
        match raised.get(manifest.job_id):
            case None:
                mux(manifest, segments, None, out)
            case bytes() as content:
                out.write_bytes(content)
            case error:
                raise error

    def manifest() -> Manifest:
        return manifest_of(source, chunks, None)

    # (No file is known that makes the muxer raise these.)
    monkeypatch.setattr(assembly, "mux", raising)
    async with running(storage_connection, eventhub_connection, drafts=0) as bench:
        jobs = [(manifest(), [spoil(data) for data in whole]) for spoil in SPOILT_SEGMENTS.values()]
        for error in RAISED.values():
            jobs.append((manifest(), [*whole]))
            raised[jobs[-1][0].job_id] = error
        # (Without drafts, which are for results that can be made.)
        read = await asyncio.gather(*(sentence(bench, *job) for job in jobs))
    assert [message for message in read if not is_for_people(message)] == []
