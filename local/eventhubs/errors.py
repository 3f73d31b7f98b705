"""The errors of the broker, and what each of them affects.

::

    EventHubsError
    ├── ConfigurationError        the process does not start (exit 2)
    ├── LogCorruptError           a stored record fails its checksum
    └── amqp.errors.AmqpError     sent to the peer as an AMQP error
"""

from __future__ import annotations


class EventHubsError(Exception):
    """The root of every error of this package."""


class ConfigurationError(EventHubsError):
    """The broker cannot start as configured; ``problems`` has a sentence for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class LogCorruptError(EventHubsError):
    """A stored record does not match its checksum."""
