"""What can go wrong, and how far it reaches.

::

    EventHubsError
    ├── ConfigurationError        the process does not start (exit 2)
    ├── LogCorruptError           a stored record fails its checksum
    └── amqp.errors.AmqpError     told to the peer as an AMQP error
"""

from __future__ import annotations


class EventHubsError(Exception):
    """The root of every error of this package."""


class ConfigurationError(EventHubsError):
    """The broker cannot start as it was asked to; ``problems`` names every reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class LogCorruptError(EventHubsError):
    """A stored record does not match its checksum."""
