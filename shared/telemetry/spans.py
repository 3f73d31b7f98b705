"""The interface of whatever makes spans, and the implementation that makes none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

Kind = Literal["internal", "consumer", "producer"]
Facts = Mapping[str, str | int]
Carrier = Mapping[str, str]
"""The W3C headers that continue a trace elsewhere; empty without a trace."""


class Spans(Protocol):
    """Makes spans; the parent of a new span is the current one, in whose context the code runs."""

    def span(
        self, name: str, kind: Kind, parent: Carrier, facts: Facts
    ) -> AbstractContextManager[object]:
        """Open a span for a block, as a child of ``parent``, or of the current one if empty."""

    def annotate(self, facts: Facts) -> None:
        """Add facts to the current span."""

    def inject(self) -> dict[str, str]:
        """Return the headers that continue the current span elsewhere."""

    def trace_id(self) -> str | None:
        """Return the current trace's id as collectors show it; None outside of any."""


class NoSpans:
    """Makes no spans; used while tracing is off."""

    def span(
        self, _name: str, _kind: Kind, _parent: Carrier, _facts: Facts
    ) -> AbstractContextManager[object]:
        return nullcontext()

    def annotate(self, _facts: Facts) -> None:
        pass

    def inject(self) -> dict[str, str]:
        return {}

    def trace_id(self) -> None:
        return None
