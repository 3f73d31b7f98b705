"""Times as people write them: seconds, or as on a clock."""

from __future__ import annotations

import re
from typing import Final

LONGEST_S: Final = 360_000
"""The latest time and the longest duration that may be requested, in seconds: 100 hours."""

FORMS: Final = "seconds or [HOURS:]MINUTES:SECONDS"
"""How a time is written."""

_TIME: Final = re.compile(
    r"(?:(?:(?P<hours>[0-9]{1,2}):)?(?P<minutes>[0-5]?[0-9]):(?P<rest>[0-5]?[0-9](?:\.[0-9]*)?)"
    r"|(?P<seconds>[0-9]{1,6}(?:\.[0-9]*)?|\.[0-9]+)s?)"
)


def parse_time(text: str) -> float | None:
    """Return a time in seconds; None if ``text`` is not a time, or one beyond `LONGEST_S`.

    >>> parse_time("90"), parse_time("1.5s"), parse_time("1:02:03.5"), parse_time("soon")
    (90.0, 1.5, 3723.5, None)
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    seconds = 3600 * hours + 60 * minutes + float(found["rest"] or found["seconds"])
    return seconds if seconds <= LONGEST_S else None


def format_ms(milliseconds: int) -> str:
    """Return a time in seconds, as short as possible.

    >>> format_ms(10_000), format_ms(1_250)
    ('10s', '1.25s')
    """
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
