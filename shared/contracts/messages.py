"""The events that the services exchange, as immutable values with a JSON form.

An event names its ``type`` and ``schema_version``. A reader ignores fields that it does not know,
leaves types and versions that it does not know to a newer release, which has sent them, and refuses
everything else, so that a poisoned hub cannot poison a service.

=================  ========  ====================  =============================================
event              hub       from -> to            meaning
=================  ========  ====================  =============================================
ChunkReady         frames    splitter->stylizer    a chunk's frames are in blob storage
SplitStarted       segments  splitter->assembler   a video was accepted, its source is probed
SplitCompleted     segments  splitter->assembler   the manifest is sealed
SplitFailed        segments  splitter->assembler   the video cannot be split
SegmentReady       segments  stylizer->assembler   a chunk's stylized segment is written
ChunkFailed        segments  stylizer->assembler   a chunk cannot be stylized
JobRecalled        segments  assembler->assembler  a job is open, and may be in nobody's hands
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
    """What every event carries."""

    schema_version: Literal[1] = 1
    job_id: str


class ChunkReady(Message):
    """A reference to a chunk; all that a stylizer needs to know to make its segment."""

    type: Literal["ChunkReady"] = "ChunkReady"
    chunk: Chunk
    width: int
    height: int
    time_base: ExactFraction
    sample_aspect_ratio: ExactFraction
    style: StyleRequest
    bit_depth: int = 8
    """Bits a sample of the video's picture; the chunk has 8 whatever these are."""
    on_processor: bool = False
    """Whether the segment has to be encoded on the processor, in place of one that a GPU encoded:
    the job has segments that cannot be joined to that one."""
    styles: str = ""
    """Digest of the networks that the segment has to be painted with, in place of one that others
    have painted; empty when any will do. A stylizer that has others lets what is there be."""

    @classmethod
    def of(cls, job_id: str, source: Source, style: StyleRequest, chunk: Chunk) -> Self:
        """Refer to one of a job's chunks; the same words whoever sends it, and whenever."""
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

        ``pts`` are ticks since the chunk's first frame.
        """
        return self.style.starts_at + (self.chunk.first_pts + pts) * self.time_base


class EventPlace(Value):
    """Where an event is in its hub."""

    partition_id: str
    sequence_number: int


class SplitStarted(Message):
    """The first word about a job: who it is for, so that its status can be shown at once.

    It is said when the upload is accepted, ``queued``, and again when its split begins.
    """

    type: Literal["SplitStarted"] = "SplitStarted"
    video_name: str
    video_url: str
    etag: str
    style: StyleRequest
    queued: bool = False
    """Whether the split has yet to begin."""
    upload_event: EventPlace | None = None
    """The upload's event in the hub of uploads: until that is done, a splitter has the job."""
    uploaded_at: AwareDatetime | None = None
    """When this version of the upload was written, by storage's clock."""


class SplitCompleted(Message):
    """The manifest is sealed: from now on the assembler knows what is complete."""

    type: Literal["SplitCompleted"] = "SplitCompleted"
    chunks: int
    frames: int


class SplitFailed(Message):
    """The video is refused or could not be read to its end."""

    type: Literal["SplitFailed"] = "SplitFailed"
    code: str
    message: str


class SegmentReady(Message):
    """A segment is in blob storage, under the name that job and chunk give it."""

    type: Literal["SegmentReady"] = "SegmentReady"
    chunk: int
    frames: int
    unpainted: str | None = None
    """Why the segment shows the original frames, if it does."""
    work_s: Seconds = 0.0
    """Time that its lane took to paint it, in seconds; 0 when it had been painted before."""
    gpu: bool = False
    """Whether it was painted on a GPU."""
    styles: str = ""
    """Digest of the networks that it was painted with; empty when that is not known."""
    encoder: str = ""
    """What encoded it, if that was not the processor: a name with a digest of the parameter sets.
    Segments with the same word can be joined, and those of the processor to each other."""

    @classmethod
    def of_stored(cls, job_id: str, chunk: Chunk, metadata: Mapping[str, str]) -> Self:
        """Announce a segment that was painted before, by its blob's ``metadata``."""
        return cls(
            job_id=job_id,
            chunk=chunk.index,
            frames=chunk.frames,
            unpainted=metadata.get(UNPAINTED),
            styles=metadata.get(STYLES, ""),
            encoder=metadata.get(ENCODER, ""),
        )


class ChunkFailed(Message):
    """A chunk that no further try would help."""

    type: Literal["ChunkFailed"] = "ChunkFailed"
    chunk: int
    code: str
    message: str


class JobRecalled(Message):
    """A job's record is open: whoever reads the partition of its events takes it in hand."""

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
        NewerMessageError: it is an event of the pipeline, of a type or version unknown here.
        MessageError: it is not an event of the pipeline.
    """
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        if newer := _newer(body):
            said = f"{newer.type} of version {newer.schema_version}, which a newer release has sent"
            raise NewerMessageError(said[:_QUOTED], body) from error
        raise MessageError(f"not a pipeline event: {first_problem(error)}", body) from error


class _Envelope(Value):
    """What the events of every release have in common."""

    type: str
    schema_version: Annotated[int, Field(ge=1)]
    job_id: Annotated[str, Field(pattern=JOB_ID)]


def _newer(body: bytes) -> _Envelope | None:
    """Return what an event of a newer release says of itself; None for any other body."""
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError:
        return None
    return envelope if envelope.schema_version > 1 or envelope.type not in _TYPES else None
