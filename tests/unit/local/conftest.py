"""What the tests of the one-machine stack share."""

from __future__ import annotations

import ports
import pytest


@pytest.fixture
def unused_port() -> int:
    """A loopback port that nothing listens on."""
    return ports.unused_port()
