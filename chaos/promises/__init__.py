"""Compares a history with the promises. Pure: the result follows from the history alone.

=====  =====================================================================================
I1     a checkpoint never passes unfinished work
I2     chunks and segments are written once, and doing a chunk twice gives the same bytes
I3     a result is published only when every frame is there, at its time; whole or not at all
I4     at most one result a job; how a job has ended never changes, though its result may move
I5     when the work is done, no event is left behind the checkpoints
I6     a chunk is tried a bounded number of times; then a dead letter and the job report it
ALIKE  a result is painted by one version of its style
END    every upload comes to an end, and fails only for a cause
TOLD   the end of every job is announced, as its record has it
TIDY   an ended job leaves only its record, in storage and in work folders; a deleted one, nothing
SHOWN  a job's record counts what is painted, neither more nor less
LEAN   a chunk that is finished is not sent to the stylizers again
PROMPT no job stands still, and no record falls behind, while nothing is broken
FAIR   a job never has more chunks waiting than its window has room for
SMALL  no service takes more memory than its share
=====  =====================================================================================
"""

from __future__ import annotations

from chaos.history import History
from chaos.promises import attempts, checkpoints, ends, memory, progress, results, waiting, writes
from chaos.promises.timeline import Timeline
from chaos.promises.violation import Promise, Violation

__all__ = ["Promise", "Violation", "check"]

_RULES = (
    checkpoints.check,
    writes.check,
    results.check,
    attempts.check,
    ends.check,
    progress.check,
    waiting.check,
    memory.check,
)


def check(history: History) -> list[Violation]:
    """Return every promise that the history breaks, in the order of the promises."""
    timeline = Timeline(history)
    found = [violation for rule in _RULES for violation in rule(timeline)]
    return sorted(found, key=lambda violation: (violation.promise, violation.about))
