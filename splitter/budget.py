"""Compare what an uploader may use with what they have used; pure, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from shared.contracts.values import Value

PAUSE_S: Final = 5.0
"""Seconds for which the verdict "over budget" is kept before storage is asked again."""

_KEPT: Final = timedelta(days=8)
"""How long the entry of an open job is kept: longer than the hub keeps the event of its upload."""

Sharing = Literal["folder", "name", "account"]
"""What has a budget: each first folder, each name (as upload links use), or the whole account."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What each uploader may use; None means unlimited."""

    open_jobs: int | None = None
    videos: int | None = None
    """Admitted in a day."""
    size: int | None = None
    """Bytes of the videos admitted in a day."""
    frames: int | None = None
    """Frames split in a day."""

    @property
    def unlimited(self) -> bool:
        """Whether nobody is ever over budget."""
        return self == Budget()


def uploader_of(name: str, sharing: Sharing) -> str:
    """Return the uploader that an upload counts against; uploads outside folders share one.

    >>> uploader_of("alice/holiday/beach.mp4", "folder"), uploader_of("beach.mp4", "folder")
    ('alice', '')
    """
    if sharing == "folder":
        folder, slash, _ = name.partition("/")
        return folder if slash else ""
    return name if sharing == "name" else ""


class Entry(Value):
    """An admitted video."""

    day: str
    """UTC, ISO 8601."""
    size: int
    frames: int = 0
    """0 until its split is complete."""
    ended: bool = False
    """Whether its job is known to have ended."""


class Ledger(Value):
    """The videos admitted for one uploader, by job."""

    jobs: dict[str, Entry]

    def excess(self, budget: Budget, day: str) -> str | None:
        """Return which part of the budget is used up; None if another video may be admitted."""
        today = [entry for entry in self.jobs.values() if entry.day == day]
        used = {
            "open_jobs": (len(self.open), budget.open_jobs),
            "videos": (len(today), budget.videos),
            "bytes": (sum(entry.size for entry in today), budget.size),
            "frames": (sum(entry.frames for entry in today), budget.frames),
        }
        over = (part for part, (spent, most) in used.items() if most is not None and spent >= most)
        return next(over, None)

    @property
    def open(self) -> list[str]:
        """The jobs that are not known to have ended."""
        return [job for job, entry in self.jobs.items() if not entry.ended]

    def end(self, jobs: set[str]) -> Ledger:
        """Return the ledger with ``jobs`` marked as ended."""
        return Ledger(
            jobs={
                job: entry.model_copy(update={"ended": entry.ended or job in jobs})
                for job, entry in self.jobs.items()
            }
        )

    def put(self, job: str, entry: Entry, day: str) -> Ledger:
        """Return the ledger with one more entry, without those that no longer matter on ``day``.

        Ended jobs may not be known as such: only a limit on open jobs makes us look.
        """
        oldest = (date.fromisoformat(day) - _KEPT).isoformat()
        kept = {
            j: e for j, e in self.jobs.items() if e.day == day or (not e.ended and e.day >= oldest)
        }
        return Ledger(jobs={**kept, job: entry})
