"""Log lines: one JSON object each, found by their trace when there are traces."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry import logs, tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def main(*, traced: bool) -> None:
    """Log as a service does that takes an event up: a line of ours and a library's, in and out."""
    logs.configure("INFO", "json", "splitter")
    with tracing.exporting("splitter", None, InMemorySpanExporter() if traced else None):
        received = tracing.Received("uploads", "$default", "0", SENDER)
        with tracing.processing(received), tracing.span("split"):
            speak()
        speak()


def speak() -> None:
    structlog.get_logger().info("split started", job_id="j")
    logging.getLogger("library").warning("slow")


def lines(*, traced: bool) -> list[dict[str, Any]]:
    """Return what a process of its own logs, for logging is set up once a process."""
    code = f"import sys; sys.path = {sys.path!r}; import {__name__} as here; here.main({traced=})"
    process = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=True)
    return [json.loads(line) for line in process.stderr.splitlines()]


def test_lines_of_ours_and_of_libraries_name_the_trace_that_they_were_written_in() -> None:
    ours, librarys, *after = lines(traced=True)
    assert (ours["event"], librarys["event"]) == ("split started", "slow")
    assert ours["trace_id"] == librarys["trace_id"] == TRACE
    assert len(after) == 2
    assert all("trace_id" not in line for line in after)


def test_without_tracing_a_line_holds_what_it_was_given_and_nothing_of_traces() -> None:
    always = {"event", "level", "service", "timestamp"}
    ours, librarys, *after = lines(traced=False)
    assert ours.keys() == {*always, "job_id"}
    assert librarys.keys() == always
    assert [line.keys() for line in after] == [ours.keys(), librarys.keys()]
