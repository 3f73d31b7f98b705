"""What all tests share: how the code under test logs."""

from __future__ import annotations

import structlog

# The default draws tracebacks with all local variables, which takes seconds where many are told of.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
