"""The events that the services exchange, as immutable values with a JSON form.

An event names its ``type`` and ``schema_version``. A reader ignores unknown fields, leaves unknown
types and versions to the newer release that has sent them, and rejects everything else, so that bad
events in a hub cannot take a service down.

=================  ========  ====================  =============================================
event              hub       from -> to            meaning
=================  ========  ====================  =============================================
ChunkReady         frames    splitter->stylizer    a chunk's frames are in blob storage
SplitStarted       segments  splitter->assembler   a video was accepted, or its split begins
SplitCompleted     segments  splitter->assembler   the manifest is written
SplitFailed        segments  splitter->assembler   the video cannot be split
SegmentReady       segments  stylizer->assembler   a chunk's stylized segment is written
ChunkFailed        segments  stylizer->assembler   a chunk cannot be stylized
JobRecalled        segments  assembler->assembler  an unfinished job that nobody may be following
=================  ========  ====================  =============================================
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from shared.contracts.errors import MessageError, NewerMessageError
from shared.contracts.layout import JOB_ID
from shared.contracts.manifest import Chunk, Source
from shared.contracts.segment_place import ENCODER, STYLES, UNPAINTED
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import ExactFraction, Value, first_problem

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Message(Value):
    """The fields that every event carries."""

    schema_version: Literal[1] = 1
    job_id: str


class ChunkReady(Message):
    """A reference to a chunk, with everything that a stylizer needs to make its segment."""

    type: Literal["ChunkReady"] = "ChunkReady"
    chunk: Chunk
    width: int
    height: int
    time_base: ExactFraction
    sample_aspect_ratio: ExactFraction
    style: StyleRequest
    bit_depth: int = 8
    """Bits per sample of the source's picture; those of the chunk are always 8."""
    on_processor: bool = False
    """Whether the segment must be encoded on the CPU, to replace one that a GPU encoded and that
    cannot be joined to the job's other segments."""
    styles: str = ""
    """Digest of the networks that the segment must be painted with, to replace one painted with
    others; empty if any will do. A stylizer with other networks leaves the segment as it is."""
    resend: Annotated[int, Field(ge=0)] = 0
    """How many times the assembler has sent the chunk again, for these networks, with this one."""

    @classmethod
    def of(cls, job_id: str, source: Source, style: StyleRequest, chunk: Chunk) -> Self:
        """Refer to one of a job's chunks; the event is the same whoever sends it, and whenever."""
        return cls(
            job_id=job_id,
            chunk=chunk,
            width=source.width,
            height=source.height,
            time_base=source.time_base,
            sample_aspect_ratio=source.sample_aspect_ratio,
            style=style,
            bit_depth=source.bit_depth,
        )

    def shown_at(self, pts: int) -> Fraction:
        """Return when a frame of the chunk is shown, in seconds of the whole result.

        ``pts`` counts ticks from the chunk's first frame.
        """
        return self.style.starts_at + (self.chunk.first_pts + pts) * self.time_base


class EventPlace(Value):
    """Where an event is in its hub."""

    partition_id: Annotated[str, Field(pattern="^[0-9]{1,4}$")]
    sequence_number: int
    at: AwareDatetime
    """When its reader reported it: a hub that was created later does not hold it."""


class SplitStarted(Message):
    """A job's first event: what it is for, so that its status can be shown at once.

    Sent when the upload is accepted, with ``queued`` set, and again when its split begins.
    """

    type: Literal["SplitStarted"] = "SplitStarted"
    video_name: str
    video_url: str
    etag: str
    style: StyleRequest
    queued: bool = False
    """Whether the split has yet to begin."""
    upload_event: EventPlace | None = None
    """The upload's event in the uploads hub; until it is done, a splitter has the job."""
    uploaded_at: AwareDatetime | None = None
    """When this version of the upload was written, by storage's clock."""


class SplitCompleted(Message):
    """The manifest is written: from now on the assembler can tell when the job is complete."""

    type: Literal["SplitCompleted"] = "SplitCompleted"
    chunks: int
    frames: int
    leftovers: bool = True
    """Whether a split may have stored more of the job than the manifest and what that names: only
    one that nobody began before, and that recorded no progress, knows that none has."""


class SplitFailed(Message):
    """The video was refused or could not be read to its end."""

    type: Literal["SplitFailed"] = "SplitFailed"
    code: str
    message: str


class SegmentReady(Message):
    """A segment is in blob storage, under the name that follows from its job and chunk."""

    type: Literal["SegmentReady"] = "SegmentReady"
    chunk: int
    frames: int
    unpainted: str | None = None
    """Why the segment shows the original frames, if it does."""
    work_s: Seconds = 0.0
    """How long its lane took to paint it, in seconds; 0 if it had been painted before."""
    gpu: bool = False
    """Whether it was painted on a GPU."""
    styles: str = ""
    """Digest of the networks that it was painted with; empty if unknown."""
    encoder: str = ""
    """The GPU encoder that wrote it, as a name with a digest of the parameter sets; empty for the
    CPU. Segments with equal values can be joined."""
    wanted: str = ""
    """`ChunkReady.styles` of the event that this answers."""
    resend: Annotated[int, Field(ge=0)] = 0
    """`ChunkReady.resend` of the event that this answers."""

    @classmethod
    def of_stored(cls, job_id: str, chunk: Chunk, metadata: Mapping[str, str]) -> Self:
        """Announce a segment that was painted before, from its blob's ``metadata``."""
        return cls(
            job_id=job_id,
            chunk=chunk.index,
            frames=chunk.frames,
            unpainted=metadata.get(UNPAINTED),
            styles=metadata.get(STYLES, ""),
            encoder=metadata.get(ENCODER, ""),
        )


class ChunkFailed(Message):
    """A chunk could not be stylized, and further attempts would not help."""

    type: Literal["ChunkFailed"] = "ChunkFailed"
    chunk: int
    code: str
    message: str


class JobRecalled(Message):
    """A job is unfinished: the assembler that reads the partition of its events follows it."""

    type: Literal["JobRecalled"] = "JobRecalled"


AnyMessage = Annotated[
    ChunkReady
    | SplitStarted
    | SplitCompleted
    | SplitFailed
    | SegmentReady
    | ChunkFailed
    | JobRecalled,
    Field(discriminator="type"),
]
_ADAPTER: TypeAdapter[AnyMessage] = TypeAdapter(AnyMessage)
_TYPES: Final = frozenset(
    str(kind.model_fields["type"].default) for kind in get_args(get_args(AnyMessage)[0])
)
_QUOTED: Final = 200


def decode(body: bytes) -> AnyMessage:
    """Read an event's body.

    Raises:
        NewerMessageError: it is a pipeline event of a type or version unknown here.
        MessageError: it is not a pipeline event.
    """
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        if newer := _newer(body):
            said = (
                f"{newer.type} has schema version {newer.schema_version}, sent by a newer release"
            )
            raise NewerMessageError(said[:_QUOTED]) from error
        raise MessageError(f"not a pipeline event: {first_problem(error)}") from error


class _Envelope(Value):
    """The fields that events of every release have in common."""

    type: str
    schema_version: Annotated[int, Field(ge=1)]
    job_id: Annotated[str, Field(pattern=JOB_ID)]


def _newer(body: bytes) -> _Envelope | None:
    """Return the envelope of an event of a newer release; None for any other body."""
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError:
        return None
    return envelope if envelope.schema_version > 1 or envelope.type not in _TYPES else None
