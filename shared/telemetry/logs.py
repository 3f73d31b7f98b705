"""Structured logs: JSON lines in containers, coloured lines on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Final

import structlog

from shared.telemetry import tracing
from shared.telemetry.escapes import escaped, escaped_json, escaped_values

ENGINE_CHOSEN: Final = "engine chosen"
"""The log event by which a stylizer says what its networks run on; the local stack reads it."""


def configure(level: str, style: str, service: str) -> None:
    """Send every log line, ours and the libraries', to stderr in one format."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_trace,
    ]
    rendering: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer(_json)]
        if style == "json"
        else [
            _escape_values,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *rendering,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # The SDKs log every request at INFO; their failures reach us as exceptions anyway.
    logging.getLogger("azure").setLevel("ERROR")
    logging.getLogger("aiohttp.access").setLevel("WARNING")
    structlog.contextvars.bind_contextvars(service=service)


def _name_trace(
    _logger: object, _method: str, line: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Add ``trace_id`` to a line that is written within a trace."""
    if trace := tracing.trace_id():
        line["trace_id"] = trace
    return line


def _json(line: object, default: Callable[[object], object]) -> str:
    return escaped_json(json.dumps(line, default=default, ensure_ascii=False))


def _escape_values(
    _logger: object, _method: str, line: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Escape unprintable characters; a traceback keeps its lines."""
    return {
        key: escaped(value, keep="\n") if key == "exception" else escaped_values(value)
        for key, value in line.items()
    }
