"""What all tests share: how code under test logs, what it inherits, how properties are tested."""

from __future__ import annotations

import signal

import structlog
from hypothesis import HealthCheck, settings

# The default draws tracebacks with all local variables, which takes seconds where many are told of.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# How long an example takes tells how busy the machine is, and not whether the code is right.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# A shell has what it runs in the background ignore Ctrl-C, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
