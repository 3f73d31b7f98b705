"""What a maker of spans offers, whoever it is; and the one that makes none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

Kind = Literal["internal", "consumer", "producer"]
Facts = Mapping[str, str | int]
Carrier = Mapping[str, str]
"""What continues a trace elsewhere: the W3C headers, empty for no trace."""


class Spans(Protocol):
    """Makes spans; the one in whose context code runs is the parent of those that it opens."""

    def span(
        self, name: str, kind: Kind, parent: Carrier, facts: Facts
    ) -> AbstractContextManager[object]:
        """Open a span for a block; ``parent`` in place of the present one, unless empty."""

    def annotate(self, facts: Facts) -> None:
        """Add facts to the present span."""

    def inject(self) -> dict[str, str]:
        """Return what continues the present span elsewhere."""

    def trace_id(self) -> str | None:
        """Return the present trace's id as collectors show it; None outside of any."""


class NoSpans:
    """Where nobody traces."""

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
