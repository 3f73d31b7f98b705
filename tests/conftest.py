"""What all tests share: logs, signals, how properties are tested, what one process runs."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from scheduling import OneStackScheduling, uses_one_stack

from shared.service.loading import loading

# The default draws tracebacks with all local variables, which takes seconds where many are told of.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# How long an example takes tells how busy the machine is, and not whether the code is right.
settings.register_profile(
    "suite", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# A shell has what it runs in the background ignore Ctrl-C, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what all tests load out of every later search for garbage."""
    with loading():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what one process has to run for the longest time."""
    items.sort(key=lambda item: not uses_one_stack(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneStackScheduling | None:
    """Share tests by files, as is the default here, but for those that use one stack."""
    return OneStackScheduling(config, log) if config.getvalue("dist") == "loadfile" else None
