"""What a user may ask of the painter, in one canonical form.

A request's JSON is part of its job's identity: equal requests have equal JSON. Fields are left out
while they have their defaults, so that a field that is added changes no plain request's job id.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from shared.contracts.style_blend import WHOLE
from shared.contracts.style_schedule import Schedule, cues_text, parse_cues
from shared.contracts.times import LONGEST_S
from shared.contracts.values import Value

MOST_FRAMES: Final = 100_000_000
"""The most frames that may be requested."""

BRUSHES: Final = range(64, 16384 + 1)
"""The values of ``brush``, in lines."""

QUALITIES: Final = range(100 + 1)
"""The values of ``quality``."""

Codec = Literal["h264", "hevc", "av1"]

DEFAULT_BRUSH: Final = 720
"""The default of ``brush``, in lines."""

_ALWAYS_IN_JSON: Final = frozenset({"style", "max_side"})


def painted_scale(width: int, height: int, lines: int) -> Fraction:
    """Return the factor, at most 1, that scales a picture to be painted at ``lines`` lines."""
    return min(Fraction(lines, min(width, height)), Fraction(1))


class StyleRequest(Value):
    """How a job is painted.

    ``style`` is a style's name, a blend such as ``great-wave:0.40,starry-night:0.60``, or several
    of them over time, such as ``great-wave@0s,starry-night@10s``, each from its time on. Each fades
    in over ``fade`` seconds from its time on; ``None`` means 1. Times, like ``start``, are those of
    the whole result, so that a part looks as it will in the whole.

    ``max_side`` caps the longer side of the picture in pixels; ``None`` keeps the source's size.
    ``strength`` is the share of the painting in the result, to two decimals; the rest is the
    source. ``preserve_color`` keeps the source's colours and takes only the brightness from the
    painting.

    ``start``, ``duration`` and ``max_frames`` cut out a part of the video, for trying a style: the
    frames that begin at ``start`` or later and before ``start + duration``, in seconds of the whole
    result's time and to the millisecond, and at most the first ``max_frames`` of them. The part's
    time begins at ``start``, and its sound is cut to match. ``None`` means no limit.

    ``brush`` is the height in lines at which a picture is painted (the width of an upright one). A
    picture with more lines is scaled down, painted and scaled up again, so that its strokes are as
    large, relative to the picture, as in a video of ``brush`` lines. A picture with fewer is
    painted at its own size. ``None`` means 720.

    ``quality`` is that of the result's encoding, from 0 to 100, on a scale that means about the
    same for every ``codec``; ``None`` means 60.
    """

    style: str
    max_side: int | None = None
    strength: float = Field(default=1.0, ge=0, le=1)
    preserve_color: bool = False
    start: float = Field(default=0.0, ge=0, le=LONGEST_S)
    duration: float | None = Field(default=None, ge=0.001, le=LONGEST_S)
    max_frames: int | None = Field(default=None, ge=1, le=MOST_FRAMES)
    brush: int | None = Field(default=None, ge=BRUSHES[0], le=BRUSHES[-1])
    quality: int | None = Field(default=None, ge=QUALITIES[0], le=QUALITIES[-1])
    codec: Codec = "h264"
    fade: float | None = Field(default=None, ge=0, le=LONGEST_S)

    @property
    def schedule(self) -> Schedule:
        """The requested styles and their times."""
        return Schedule.of(self.style, _milliseconds(self.fade))

    @property
    def blends(self) -> tuple[str, ...]:
        """The requested styles, each a name or a blend, in the order of their times."""
        return tuple(cue.style for cue in self.schedule.cues)

    @property
    def starts_at(self) -> Fraction:
        """``start`` as an exact number of seconds."""
        return Fraction(round(self.start * 1000), 1000)

    def at(self, seconds: Fraction) -> Self:
        """Return the request for the single picture shown at ``seconds`` of the whole result."""
        style = self.schedule.look_at(seconds).style
        return self.model_copy(update={"style": style, "fade": None})

    @property
    def strength_percent(self) -> int:
        """The share of the painting in the result, in hundredths."""
        return round(self.strength * WHOLE)

    @property
    def lines(self) -> int:
        """The height in lines at which pictures are painted, ``brush`` or its default."""
        return DEFAULT_BRUSH if self.brush is None else self.brush

    @property
    def slug(self) -> str:
        """The request in a form for file names: without colons, commas and dots."""
        words = [self.schedule.slug]
        if self.strength_percent != WHOLE:
            words.append(f"strength-{self.strength_percent}")
        if self.preserve_color:
            words.append("own-color")
        if self.brush is not None:
            words.append(f"brush-{self.brush}")
        if self.start:
            words.append(f"from-{round(self.start * 1000)}ms")
        if self.duration is not None:
            words.append(f"for-{round(self.duration * 1000)}ms")
        if self.max_frames is not None:
            words.append(f"frames-{self.max_frames}")
        if self.max_side is not None:
            words.append(f"max-{self.max_side}")
        if self.quality is not None:
            words.append(f"quality-{self.quality}")
        if self.codec != "h264":
            words.append(self.codec)
        return "-".join(words)

    @field_validator("style")
    @classmethod
    def _canonical_style(cls, text: str) -> str:
        return cues_text(parse_cues(text))

    @field_validator("strength")
    @classmethod
    def _canonical_strength(cls, share: float) -> float:
        return round(share, 2) + 0.0  # -0.0 has another JSON, and would be another job

    @field_validator("start", "duration", "fade")
    @classmethod
    def _canonical_time(cls, seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 3) + 0.0

    @model_validator(mode="after")
    def _fades_fit(self) -> Self:
        Schedule.of(self.style, _milliseconds(self.fade))
        return self

    @model_serializer(mode="wrap")
    def _omit_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in content.items()
            if name in _ALWAYS_IN_JSON or value != fields[name].default
        }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
