"""What a user may ask of the painter."""

from __future__ import annotations

from shared.values import Value


class StyleRequest(Value):
    """The style that a job is painted in.

    ``max_side`` caps the longer side of the picture in pixels; ``None`` keeps the source's size.
    """

    style: str
    max_side: int | None = None
