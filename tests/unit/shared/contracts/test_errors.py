"""What errors of other people's code look like in our sentences."""

from __future__ import annotations

import pytest

from shared.contracts.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TimeoutError(), "TimeoutError"),
        (ConnectionError("\nrefused\nContent: <html>"), "refused"),
        (OSError("refused"), "refused"),
    ],
)
def test_an_error_says_something_in_one_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
