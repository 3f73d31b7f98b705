"""Spans by OpenTelemetry; needs the extra ``tracing``. Only `tracing` imports it."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.telemetry.spans import Carrier, Facts, Kind

_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
}
# A service that shuts down must not wait long for an unreachable collector.
_CLOSING_S: Final = 3.0


def otlp(endpoint: str) -> SpanExporter:
    """Return an exporter to a collector's OTLP endpoint (HTTP, protobuf)."""
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")


class OpenTelemetry:
    """The spans of one service, sent in batches by a thread of their own.

    Sampling and the like follow OpenTelemetry's own variables, such as ``OTEL_TRACES_SAMPLER``.
    """

    def __init__(self, service: str, exporter: SpanExporter) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence over our own name.
        resource = Resource.create({SERVICE_NAME: service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("stylestream")
        self._propagator = TraceContextTextMapPropagator()

    def span(
        self, name: str, kind: Kind, parent: Carrier, facts: Facts
    ) -> AbstractContextManager[object]:
        """Open a span; see `shared.telemetry.spans.Spans`."""
        context = self._propagator.extract(parent) if parent else None
        return self._tracer.start_as_current_span(
            name, context, kind=_KINDS[kind], attributes=dict(facts)
        )

    def annotate(self, facts: Facts) -> None:
        """Add facts to the current span."""
        trace.get_current_span().set_attributes(dict(facts))

    def inject(self) -> dict[str, str]:
        """Return the headers that continue the current span elsewhere."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier

    def trace_id(self) -> str | None:
        """Return the current trace's id, 32 hexadecimal digits; None outside of any."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def close(self) -> None:
        """Send the remaining spans, if the collector accepts them in time."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSING_S)
