"""Names of jobs and blobs, each a pure function of what it identifies.

Because a name never depends on who writes or when, doing work twice writes the same blob.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import Final
from zlib import crc32

from shared.contracts.style_request import StyleRequest

LONGEST_NAME: Final = 1024
"""The length in characters of the longest name that storage accepts."""

JOB_ID: Final = r"^[0-9a-f]{24}$"
"""The form of a job's id."""


def job_id(container: str, name: str, etag: str, style: StyleRequest) -> str:
    """Return the id of an upload with a style request; an upload announced twice is one job.

    The account takes no part: a pipeline has one account of users, which can have several
    addresses, inside and outside a network, through private endpoints or proxies.
    """
    identity = "\n".join((f"{container}/{name}", etag.strip('"'), style.model_dump_json()))
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def renewed_job(job: str) -> str:
    """Return the id of the job that replaces an abandoned one, the same on every splitter.

    It has another id, so that blobs and messages of the abandoned job cannot count for it.
    """
    return hashlib.sha256(f"{job}\nanew".encode()).hexdigest()[:24]


def is_job_id(text: str) -> bool:
    """Tell whether ``text`` has the form of a job id."""
    return re.fullmatch(JOB_ID, text) is not None


def chunk_blob(job: str, index: int) -> str:
    """Name a chunk in the frames container, and its segment in the segments container."""
    return f"{job}/{index:08d}.mp4"


def side_blob(job: str, container: str, sha256: str) -> str:
    """Name the blob (frames container) of the streams that are copied beside the picture.

    The name contains a digest of the content, because the content may differ between two splits.
    """
    return f"{job}/side-{sha256[:16]}.{container}"


def chunk_partition(job: str, index: int, partitions: int) -> int:
    """Return a chunk's partition of the frames hub: round robin, each job from its own start."""
    return (crc32(job.encode()) + index) % partitions


def manifest_blob(job: str) -> str:
    """Name a job's manifest (frames container, out of users' reach)."""
    return f"{job}/manifest.json"


def opening_blob(identity: str) -> str:
    """Name the blob (frames container) that records what a version of an upload was begun with."""
    return f"{identity}/opening.json"


def end_blob(job: str) -> str:
    """Name the blob (frames container) that says that a job has ended, even without its record."""
    return f"ended/{job}"


def progress_blob(job: str) -> str:
    """Name the blob (jobs container) that records the progress of a job's split."""
    return f"{job}/split.json"


def status_blob(job: str) -> str:
    """Name a job's status record (jobs container)."""
    return f"{job}/status.json"


def result_blob(video_name: str, style: str, container: str, job: str | None = None) -> str:
    """Name a result after its upload; ``job`` distinguishes results that would share a name.

    A name that storage would not accept is shortened before its ending.

    >>> result_blob("holiday/beach.mov", "the-scream", "mp4")
    'holiday/beach.the-scream.mp4'
    """
    path = PurePosixPath(video_name)
    ending = "".join(f".{part}" for part in (style, job and job[:8], container) if part)
    return str(path.parent / path.stem)[: LONGEST_NAME - len(ending)] + ending
