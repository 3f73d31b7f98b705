"""What the studio's HTTP API takes and gives, as values with a JSON form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from shared.contracts.status import Failure, State
from shared.contracts.values import Value

Seconds = Annotated[float, Field(ge=0)]


def _text(value: object) -> object:
    """Return numbers and booleans as `shared.contracts.style_request_text` reads them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


NumberText = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
BooleanText = Annotated[
    str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "boolean"]})
]
"""Parts of a style request: texts as in an upload's metadata, or values of JSON."""


class Asked(Value):
    """What clients ask for. Unknown names are refused, because they would have no effect."""

    model_config = ConfigDict(extra="forbid")


class Style(Value):
    """A style of the gallery."""

    name: str
    title: str
    painter: str
    year: int | None = None


class Session(Value):
    """Who asks, and what this studio allows."""

    user: str
    operator: bool
    sign_out: str | None = None
    default_style: str
    max_upload_bytes: int
    block_bytes: int
    styles: tuple[Style, ...]


class Live(Value, use_attribute_docstrings=True):
    """How much of a job can be watched while it is being painted."""

    begins_s: Seconds = 0
    """When the first frame is shown: above 0 where the sound begins first."""
    playable_s: Seconds = 0
    """Painted without a gap from the beginning."""
    ahead: tuple[tuple[Seconds, Seconds], ...] = ()
    """From when to when it is painted beyond the first gap."""
    speed: float | None = None
    """Seconds of video that become playable in a second; None until that was seen."""


class Job(Value, use_attribute_docstrings=True):
    """A job: what was asked for, how far it has come, what came of it."""

    id: str
    video: str
    """Name of the file that was put in."""
    style: str
    strength: float = 1.0
    preserve_color: bool = False
    max_side: int | None = None
    start: float = 0.0
    duration: float | None = None
    max_frames: int | None = None
    brush: int | None = None
    quality: int | None = None
    codec: str = "h264"
    fade: float | None = None
    state: State
    ended: bool
    frames: int | None = None
    """Frames of the whole video; None until that is known."""
    frames_split: int = 0
    frames_painted: int = 0
    frames_per_s: float | None = None
    seconds_left: float | None = None
    started_at: str
    updated_at: str
    width: int | None = None
    height: int | None = None
    sound: bool = False
    result: str | None = None
    """File name of the result, once there is one."""
    live: Live = Live()
    waiting: str | None = None
    """What keeps an open job from moving, such as "a stylizer"; None while it moves."""
    warnings: tuple[str, ...] = ()
    error: Failure | None = None


class Jobs(Value):
    """A page of jobs, newest first; ``after`` asks for the next one."""

    jobs: tuple[Job, ...]
    after: str | None = None


class Segment(Value):
    """A fragment of the live picture: its number, when it begins, how long it is shown."""

    number: int
    start_s: Seconds
    duration_s: Seconds


class LivePicture(Value, use_attribute_docstrings=True):
    """What a player needs in order to play a job's painted part."""

    codec: str
    segments: tuple[Segment, ...]
    ended: bool
    """Whether no further segment will come."""


class NewUpload(Asked):
    """A video that is about to be uploaded, and how it is to be painted."""

    name: str = Field(min_length=1, max_length=1024)
    size: int = Field(gt=0)
    style: str = ""
    strength: NumberText = ""
    preserve_color: BooleanText = ""
    max_side: NumberText = ""
    start: NumberText = ""
    duration: NumberText = ""
    max_frames: NumberText = ""
    brush: NumberText = ""
    quality: NumberText = ""
    codec: str = ""
    fade: NumberText = ""


class Upload(Value):
    """An upload that was opened: its blocks go to ``/api/uploads/{upload}/{number}``.

    Where there is a ``link``, they may go straight to storage instead: Put Block at ``link``, the
    block's id its number as five digits in Base64.
    """

    upload: str
    video: str
    block_bytes: int
    blocks: int
    link: str | None = None


class Received(Value):
    """Which blocks of an upload are there already, and a new link for the others."""

    blocks: tuple[int, ...]
    link: str | None = None


class Submitted(Value):
    """A complete upload, and the job that it starts."""

    job: str
    video: str


class ProblemDetails(Value):
    """Why a request was not fulfilled (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
