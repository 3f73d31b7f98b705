"""Lays out the progress of many jobs as lines of a terminal with 40 columns or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from cli.meter import Meter
from shared.telemetry.escapes import escaped

WITH_BAR: Final = 70
WITH_FRAMES: Final = 110
"""The widths from which there is room for a bar, and for the numbers of frames."""

NOT_BEGUN: Final = frozenset({"waiting", "upload", "queued"})
"""Stages of a job before any work on it."""

_PLAIN: Final = str.maketrans("█▉▊▋▌▍▎▏·…", "#####....~")
"""Characters in place of those that only Unicode has."""

_SPEED, _LEFT, _STAGE, _PERCENT = 6, 6, 8, 4


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of several jobs. ``left`` is the time until the last of them ends, if known."""

    ended: int
    failed: int
    jobs: int
    percent: int | None
    speed: float | None
    left: float | None


def lines(meters: Sequence[Meter], failed: int, width: int, height: int) -> list[str]:
    """Return a line for each job at work, and one for all of them.

    Jobs that have ended are not shown: their reports have been printed. If ``height`` does not
    suffice, jobs that are being painted take precedence over those that wait.
    """
    living = [meter for meter in meters if not meter.ended]
    busy_first = sorted(living, key=lambda meter: meter.stage in NOT_BEGUN)
    room = max(1, height - 3)
    shown = busy_first[:room]
    result = [row(meter, width) for meter in shown]
    if hidden := len(living) - len(shown):
        result.append(fit(f"and {hidden} more", width))
    if len(meters) > 1:
        result.append(total_row(summarize(meters, failed), width))
    return result


def row(meter: Meter, width: int) -> str:
    """Return one job's line, at most ``width`` cells wide."""
    percent = "" if meter.percent is None else f"{meter.percent}%"
    fields = [f"{meter.stage:<{_STAGE}}", f"{percent:>{_PERCENT}}"]
    if width >= WITH_BAR:
        fields.append(bar(meter.share or 0.0, max(10, width // 6)))
    if width >= WITH_FRAMES:
        fields.append(f"{meter.painted:>7} of {meter.total or '?':<7}")
    fields += _pace(meter.frames_per_second, meter.seconds_left, width)
    tail = " ".join(fields)
    return _joined(escaped(meter.name), tail, width)


def total_row(summary: Summary, width: int) -> str:
    """Return the line with the totals of all jobs."""
    failed = f", {summary.failed} failed" if summary.failed else ""
    percent = "" if summary.percent is None else f"{summary.percent}%"
    tail = " ".join([f"{percent:>{_PERCENT}}", *_pace(summary.speed, summary.left, width)])
    text = f"{summary.ended} of {summary.jobs} done{failed}"
    return _joined(text, tail, width)


def summarize(meters: Sequence[Meter], failed: int) -> Summary:
    """Return the totals of jobs."""
    speeds = [meter.frames_per_second for meter in meters if meter.frames_per_second]
    totals = [meter.total for meter in meters]
    painted = sum(meter.painted for meter in meters)
    known = sum(total for total in totals if total)
    complete = all(totals) and known > 0
    speed = sum(speeds) or None
    return Summary(
        ended=sum(meter.ended for meter in meters) - failed,
        failed=failed,
        jobs=len(meters),
        percent=int(100 * min(1, painted / known)) if complete else None,
        speed=speed,
        left=max(0, known - painted) / speed if complete and speed else None,
    )


def bar(share: float, width: int) -> str:
    """Return a bar of ``width`` cells, filled to the eighth of a cell."""
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width, "·")


def encodable(text: str, encoding: str) -> str:
    """Return ``text`` in characters that ``encoding`` has, each in place of one.

    >>> encodable("é.mp4  50% ██▌··", "ascii")
    '?.mp4  50% ###..'
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss``, or ``1h05m`` from an hour on.

    >>> clock(91), clock(3_900)
    ('1:31', '1h05m')
    """
    whole = round(seconds)
    if whole < 3600:  # noqa: PLR2004
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def shorten(text: str, width: int) -> str:
    """Return ``text`` in exactly ``width`` cells, none if that is negative.

    The middle of a longer text is left out.
    """
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    end = text[-max(1, width // 3) :]
    while cell_len(end) > width // 3:
        end = end[1:]
    start = set_cell_size(text, max(0, width - cell_len(end) - 1))
    return set_cell_size(f"{start}…{end}", width)


def fit(text: str, width: int) -> str:
    """Return as much of ``text`` as fits."""
    return text if cell_len(text) <= width else set_cell_size(text, width)


def _joined(text: str, tail: str, width: int) -> str:
    """Return a line that ends in ``tail``; ``text`` gets the rest of the width."""
    return fit(f"{shorten(text, width - cell_len(tail) - 1)} {tail}", width).rstrip()


def _pace(speed: float | None, left: float | None, width: int) -> list[str]:
    rate = "" if speed is None else f"{speed:.1f}" if speed < 100 else f"{speed:.0f}"  # noqa: PLR2004
    remaining = "" if left is None else clock(left)
    if width >= WITH_BAR:
        return [
            f"{rate and rate + ' frames/s':>{_SPEED + 8}}",
            f"{remaining and remaining + ' left':>{_LEFT + 5}}",
        ]
    return [f"{rate and rate + '/s':>{_SPEED + 1}}", f"{remaining:>{_LEFT}}"]
