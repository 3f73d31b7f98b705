"""The manifest: what the splitter found in a source, and the exact list of its chunks.

The manifest is written once, when a video's last chunk is published, and never changes:
completeness is measured against it.

All timestamps are exact ticks of ``Source.time_base`` on the *result's* timeline: whatever start
offset the source's container carries by convention is already subtracted.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Container, Iterable, Sequence
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple

from pydantic import AwareDatetime, ValidationError
from pydantic.dataclasses import dataclass

from shared.contracts.errors import PermanentError
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import ExactFraction, Value, first_problem


class Track(Value):
    """One stream that is copied, packet by packet, beside the picture."""

    kind: Literal["audio", "subtitle"]
    codec: str
    language: str = ""


class Source(Value):
    """A video after normalisation: the picture that the pipeline carries, and its tracks.

    ``width`` and ``height`` are those of every frame in every chunk, in pixels, even numbers; the
    ``coded_*`` pair is what the file held before rotation and rounding up to even.
    """

    width: int
    height: int
    coded_width: int
    coded_height: int
    codec: str
    bit_depth: int = 8
    """Bits per sample of the file's picture."""
    time_base: ExactFraction
    sample_aspect_ratio: ExactFraction = Fraction(1)
    container: Literal["mp4", "mkv"] = "mp4"
    tracks: tuple[Track, ...] = ()
    dropped: tuple[str, ...] = ()
    """Streams that the result omits, one clause each, such as ``"cover art (mjpeg)"``."""


class Bars(NamedTuple):
    """Black bars of a picture: rows at top and bottom, columns at left and right, even numbers."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


NO_BARS: Final = Bars()


class Place(NamedTuple):
    """Where a frame's upper left corner is on the stylizer's canvas, in quarter pixels.

    The canvas moves along with what the camera shows; after a cut it restarts at 0, 0.
    """

    down: int
    across: int


class GridShift(NamedTuple):
    """A frame's shift on the network's sampling grid, in whole pixels at the painted size.

    A network of strided convolutions samples every fourth pixel, starting at a corner. With the
    corner moved along, it samples the same points of what the camera shows. After a cut the shift
    is 0, 0.
    """

    down: int
    across: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of consecutive frames: the unit of message, retry, checkpoint and failure.

    (Not a `Value`: a film has thousands, and each would take three times the memory.)

    ``duration`` is the time, in ticks, from the first frame's timestamp to the end of the last
    frame's display.
    """

    index: int
    first_frame: int
    frames: int
    first_pts: int
    duration: int
    pts_digest: str
    bars: Bars = NO_BARS
    """The bars that stay unpainted in all of the chunk's frames."""
    canvas: tuple[Place, ...] = ()
    """The places of the first frames; all others have the last of these, or 0, 0 if it is empty."""
    grid: tuple[GridShift, ...] = ()
    """The shifts of the first frames, in the same form as ``canvas``."""


class Manifest(Value):
    """The contract between splitter and assembler about one job."""

    schema_version: int = 1
    job_id: str
    video_url: str
    video_name: str
    etag: str
    uploaded_at: AwareDatetime | None = None
    """When this version of the upload was written, by storage's clock."""
    style: StyleRequest
    source: Source
    chunks: tuple[Chunk, ...]
    frames: int
    side: str | None = None
    """Blob (frames container) of the copied tracks, chapters and metadata; None without any."""
    side_sha256: str | None = None
    """Digest of that blob's content."""
    warnings: tuple[str, ...] = ()
    """What was lost or changed on the way, one sentence each."""
    damaged: bool = False
    """Whether anything was lost, which makes the result a degraded one."""


def read_manifest(data: bytes, placed: Container[int] = ()) -> Manifest:
    """Read a stored manifest; its chunks lack ``canvas`` and ``grid``, except those ``placed``.

    Where the camera moves, these fields are nearly all of it, and only painting needs them.

    Raises:
        PermanentError: ``MANIFEST_UNREADABLE``: it was not written by a splitter of this version.
    """

    def leave_out(fields: dict[str, Any]) -> dict[str, Any]:
        if fields.get("index") not in placed:
            fields.pop("canvas", None)
            fields.pop("grid", None)
        return fields

    try:
        return Manifest.model_validate(json.loads(data, object_hook=leave_out))
    except ValueError as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise PermanentError(
            "MANIFEST_UNREADABLE", f"the job's manifest cannot be read ({problem})"
        ) from error


def write_manifest(manifest: Manifest, chunks: Iterable[bytes]) -> bytes:
    """Encode a manifest with ``chunks`` instead of its own, each encoded already.

    As values, a film's take ten times as much memory where the camera moves.
    """
    encoded = manifest.model_copy(update={"chunks": ()}).to_json()
    # Nothing else can look like this: quotation marks within texts are escaped.
    before, after = encoded.split(b'"chunks":[]')
    return b"".join((before, b'"chunks":[', b",".join(chunks), b"]", after))


def pts_digest(pts: Sequence[int]) -> str:
    """Digest frame timestamps relative to the first, so that a result can be checked tick by tick.

    >>> pts_digest([0, 1001]) == pts_digest([5000, 6001])
    True
    """
    relative = (p - pts[0] for p in pts)
    return hashlib.sha256(struct.pack(f"<{len(pts)}q", *relative)).hexdigest()[:32]
