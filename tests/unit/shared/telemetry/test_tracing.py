"""Tracing: off by default, and refused by name if it cannot be had."""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.contracts.errors import ConfigurationError
from shared.service.settings import ServiceSettings
from shared.telemetry import tracing


class Collector(HTTPServer):
    """An OTLP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.received: list[ExportTraceServiceRequest] = []
        self.endpoint = f"http://127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


def test_without_an_endpoint_there_is_no_span_and_events_carry_nothing() -> None:
    settings = ServiceSettings(eventhub_connection_string="c", storage_connection_string="c")
    with (
        tracing.exporting("splitter", settings.otel_exporter_otlp_endpoint),
        tracing.span("split"),
        tracing.sending("frames", "3") as properties,
    ):
        tracing.annotate(job_id="j")
        assert properties == {}


def test_an_endpoint_without_opentelemetry_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "shared.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with (
        pytest.raises(ConfigurationError, match="install the extra 'tracing'"),
        tracing.exporting("splitter", "http://collector:4318"),
    ):
        pass


def test_spans_reach_a_collector_over_http_under_the_services_name() -> None:
    with Collector() as collector:
        serving = Thread(target=collector.serve_forever)
        serving.start()
        with tracing.exporting("stylizer", collector.endpoint), tracing.span("paint"):
            pass
        collector.shutdown()
        serving.join()
    (spans,) = collector.received[0].resource_spans
    told = {attribute.key: attribute.value.string_value for attribute in spans.resource.attributes}
    assert told["service.name"] == "stylizer"
    assert [span.name for span in spans.scope_spans[0].spans] == ["paint"]


def test_an_unavailable_collector_neither_fails_nor_holds_up_the_service() -> None:
    began = time.monotonic()
    with tracing.exporting("stylizer", "http://127.0.0.1:9"), tracing.span("paint"):
        pass
    assert time.monotonic() - began < 20


def test_the_name_that_the_environment_gives_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "europe-stylizer")
    exporter = InMemorySpanExporter()
    with tracing.exporting("stylizer", None, exporter), tracing.span("paint"):
        pass
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "europe-stylizer"


def test_a_stage_that_fails_is_a_failed_span() -> None:
    exporter = InMemorySpanExporter()
    with (
        tracing.exporting("stylizer", None, exporter),
        pytest.raises(ZeroDivisionError),
        tracing.span("paint", {"chunk": 7}),
    ):
        _ = 1 / 0
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert span.attributes == {"stylestream.chunk": 7}


@pytest.mark.parametrize("form", [str, str.encode])
def test_the_senders_trace_is_found_whether_its_properties_are_text_or_bytes(form) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    properties = {form("traceparent"): form(parent), form("aeg-event-type"): form("x"), "n": 1}
    assert tracing.extract(properties) == {"traceparent": parent}


def test_an_event_of_a_sender_that_traces_nothing_begins_a_trace_of_its_own() -> None:
    exporter = InMemorySpanExporter()
    with tracing.exporting("splitter", None, exporter):
        for carrier in ({}, {"traceparent": "nonsense"}):
            with tracing.processing(tracing.Received("uploads", "$default", "0", carrier)):
                pass
    one, other = exporter.get_finished_spans()
    assert one.parent is None
    assert other.parent is None
    assert one.context.trace_id != other.context.trace_id
