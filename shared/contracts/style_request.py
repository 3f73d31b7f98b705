"""What a user may ask of the painter, in one canonical form.

A request's JSON is part of its job's identity: equal wishes have equal JSON, and what was added
later is left out of it where nobody asks for it, so that a plain request is the job it always was.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from shared.contracts.style_blend import WHOLE, Portion, blend_text, parse_blend
from shared.contracts.values import Value

_ADDED_LATER: Final = frozenset({"strength", "preserve_color"})


class StyleRequest(Value):
    """How a job is painted.

    ``style`` is a style's name or a blend such as ``great-wave:0.40,starry-night:0.60``.
    ``max_side`` caps the longer side of the picture in pixels; ``None`` keeps the source's size.
    ``strength`` is the share of the painting in the result, the rest is the source; two decimals
    count. ``preserve_color`` keeps the source's colours and takes only light and dark from the
    painting.
    """

    style: str
    max_side: int | None = None
    strength: float = Field(default=1.0, ge=0, le=1)
    preserve_color: bool = False

    @property
    def portions(self) -> tuple[Portion, ...]:
        """The styles asked for, and their shares."""
        return parse_blend(self.style)

    @property
    def strength_percent(self) -> int:
        """The share of the painting in the result, in hundredths."""
        return round(self.strength * WHOLE)

    @property
    def slug(self) -> str:
        """The request as a part of a file's name: no colon, no comma, no dot."""
        portions = self.portions
        words = (
            [portions[0].style]
            if len(portions) == 1
            else [f"{style}-{percent}" for style, percent in portions]
        )
        if self.strength_percent != WHOLE:
            words.append(f"strength-{self.strength_percent}")
        if self.preserve_color:
            words.append("own-color")
        return "-".join(words)

    @field_validator("style")
    @classmethod
    def _canonical_style(cls, text: str) -> str:
        return blend_text(parse_blend(text))

    @field_validator("strength")
    @classmethod
    def _canonical_strength(cls, share: float) -> float:
        return round(share, 2) + 0.0  # -0.0 is another text, and would be another job

    @model_serializer(mode="wrap")
    def _as_short_as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in content.items()
            if name not in _ADDED_LATER or value != fields[name].default
        }
