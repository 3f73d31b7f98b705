"""What a user may ask of the painter, in one canonical form.

A request's JSON is part of its job's identity: equal requests have equal JSON, and what was added
later is left out of it where nobody asks for it, so that a plain request is the job it always was.
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
"""The most frames that may be asked for."""

BRUSHES: Final = range(64, 16384 + 1)
"""What ``brush`` may be."""

QUALITIES: Final = range(100 + 1)
"""What ``quality`` may be."""

Codec = Literal["h264", "hevc", "av1"]

USUAL_BRUSH: Final = 720
"""The ``brush`` of those who ask for none."""

_ADDED_LATER: Final = frozenset(
    {
        "strength",
        "preserve_color",
        "start",
        "duration",
        "max_frames",
        "brush",
        "quality",
        "codec",
        "fade",
    }
)


def painted_scale(width: int, height: int, lines: int) -> Fraction:
    """Return the share of its size at which a picture is painted at ``lines`` lines, 1 at most."""
    return min(Fraction(lines, min(width, height)), Fraction(1))


class StyleRequest(Value):
    """How a job is painted.

    ``style`` is a style's name, a blend such as ``great-wave:0.40,starry-night:0.60``, or several
    of them over time, such as ``great-wave@0s,starry-night@10s``, each from its time on. They fade
    into each other for ``fade`` seconds from there; ``None`` stands for 1. Times are those of the
    whole result, as ``start`` is: a part looks as it will in the whole.

    ``max_side`` caps the longer side of the picture in pixels; ``None`` keeps the source's size.
    ``strength`` is the share of the painting in the result, the rest is the source; two decimals
    count. ``preserve_color`` keeps the source's colours and takes only light and dark from the
    painting.

    ``start``, ``duration`` and ``max_frames`` cut a part out of the video, to try a style on: the
    frames that begin at ``start`` or later and before ``start + duration``, in seconds of the whole
    result's time and to the millisecond, and at most the first ``max_frames`` of them. The part's
    time begins at ``start``, its sound is cut to it. ``None`` cuts nothing.

    ``brush`` is the height in lines at which a picture is painted (of an upright one, the width):
    a picture with more lines is scaled down, painted and scaled up again, so that its strokes are
    as large, in parts of the picture, as in a video of ``brush`` lines. A picture with fewer is
    painted at its own size. ``None`` stands for 720.

    ``quality`` is that of the result's encoding, from 0 to 100, on a scale that means about the
    same for every ``codec``; ``None`` stands for 60.
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
        """The styles asked for, and their times."""
        return Schedule.of(self.style, _milliseconds(self.fade))

    @property
    def blends(self) -> tuple[str, ...]:
        """The styles asked for, each a name or a blend, in the order of their times."""
        return tuple(cue.style for cue in self.schedule.cues)

    @property
    def starts_at(self) -> Fraction:
        """``start``, exactly."""
        return Fraction(round(self.start * 1000), 1000)

    def at(self, seconds: Fraction) -> Self:
        """Return the request for the one picture that is shown at ``seconds`` of the whole."""
        style = self.schedule.look_at(seconds).style
        return self.model_copy(update={"style": style, "fade": None})

    @property
    def strength_percent(self) -> int:
        """The share of the painting in the result, in hundredths."""
        return round(self.strength * WHOLE)

    @property
    def lines(self) -> int:
        """The height in lines at which pictures are painted, ``brush`` or its default."""
        return USUAL_BRUSH if self.brush is None else self.brush

    @property
    def slug(self) -> str:
        """The request as a part of a file's name: no colon, no comma, no dot."""
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
        return round(share, 2) + 0.0  # -0.0 is another text, and would be another job

    @field_validator("start", "duration", "fade")
    @classmethod
    def _canonical_time(cls, seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 3) + 0.0

    @model_validator(mode="after")
    def _fades_fit(self) -> Self:
        Schedule.of(self.style, _milliseconds(self.fade))
        return self

    @model_serializer(mode="wrap")
    def _as_short_as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in content.items()
            if name not in _ADDED_LATER or value != fields[name].default
        }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
