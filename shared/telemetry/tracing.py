"""Traces: one video's way through all services as one tree of spans. Off by default.

Every event carries its sender's span in its application properties, as W3C ``traceparent``, and
its processing continues that trace. Stages become spans where they are timed (`metrics`), and log
lines name the trace that they were written in (`logs`).

While ``OTEL_EXPORTER_OTLP_ENDPOINT`` is unset, nothing here has an effect, and OpenTelemetry need
not be installed; only `shared.telemetry.otel` imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.contracts.errors import ConfigurationError
from shared.telemetry.spans import Carrier, Facts, NoSpans, Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_HEADERS: Final = ("traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Received:
    """Where an event came from, and the trace that it continues."""

    hub: str
    consumer_group: str
    partition_id: str
    carrier: Carrier = field(default_factory=dict)


_spans: Spans = NoSpans()


@contextmanager
def exporting(
    service: str, endpoint: str | None, exporter: SpanExporter | None = None
) -> Iterator[None]:
    """Send the spans of a block to ``exporter`` or an OTLP ``endpoint``; without either, make none.

    Raises:
        ConfigurationError: an endpoint is given and OpenTelemetry is not installed.
    """
    global _spans  # noqa: PLW0603 - a process has one service, and threading it through would be noise
    if endpoint is None and exporter is None:
        yield
        return
    try:
        from shared.telemetry.otel import OpenTelemetry, otlp
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            [f"OTEL_EXPORTER_OTLP_ENDPOINT: {error.name} is missing; install the extra 'tracing'"]
        ) from error
    before, spans = _spans, OpenTelemetry(service, exporter or otlp(endpoint or ""))
    _spans = spans
    try:
        yield
    finally:
        _spans = before
        spans.close()


def span(
    name: str, facts: Facts | None = None, *, parent: Carrier | None = None
) -> AbstractContextManager[object]:
    """Open a span for a block; ``facts`` become attributes such as ``stylestream.job_id``."""
    return _spans.span(name, "internal", parent or {}, _named(facts or {}))


def annotate(**facts: str | int) -> None:
    """Add facts to the current span."""
    _spans.annotate(_named(facts))


def trace_id() -> str | None:
    """Return the current trace's id; None outside of any."""
    return _spans.trace_id()


def processing(received: Received) -> AbstractContextManager[object]:
    """Open a span for the processing of an event; it continues the sender's trace."""
    facts = {
        "messaging.system": "eventhubs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": received.hub,
        "messaging.destination.partition.id": received.partition_id,
        "messaging.consumer.group.name": received.consumer_group,
    }
    return _spans.span(f"process {received.hub}", "consumer", received.carrier, facts)


@contextmanager
def sending(hub: str, partition_id: str | None) -> Iterator[dict[str, str]]:
    """Open a span for sending an event, and yield the properties that the event must carry.

    ``partition_id`` is None when the hub chooses by the event's key.
    """
    facts = {
        "messaging.system": "eventhubs",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": hub,
    }
    if partition_id is not None:
        facts["messaging.destination.partition.id"] = partition_id
    with _spans.span(f"send {hub}", "producer", {}, facts):
        yield _spans.inject()


def extract(properties: object) -> dict[str, str]:
    """Return an event's trace headers; foreign senders may have written them as bytes.

    ``properties`` need not be a map: the SDK passes on whatever was sent as such.
    """
    if not isinstance(properties, Mapping):
        return {}
    found = {_text(name): _text(value) for name, value in properties.items()}
    return {name: found[name] for name in _HEADERS if name in found}


def _named(facts: Facts) -> Facts:
    return {f"stylestream.{name}": value for name, value in facts.items()}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
