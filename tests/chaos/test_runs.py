"""Seeded runs of a whole stack under faults: whatever happens on the way, the promises hold."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from chaos.clips import FEWER_CLIPS, wanted
from chaos.plan import KINDS, Kind
from chaos.promises import Violation, check
from chaos.run import chaos_run
from chaos.settings import STYLES

pytestmark = [
    pytest.mark.timeout(300),
    # The SDK leaves the sockets of a broker that was killed to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
    ),
]

# Seeds are such that the kinds of a run strike at steps of their own, and find what they damage.
RUNS: dict[str, tuple[int, tuple[Kind, ...]]] = {
    "each service is killed and stopped, a decoder is killed, and the pool changes its size": (
        24727,
        (
            *("kill stylizer", "kill splitter", "kill assembler", "kill a decoder"),
            *("terminate stylizer", "terminate splitter", "terminate assembler", "scale the pool"),
        ),
    ),
    "broker and storage restart, and everything else is killed at once": (
        3,
        ("kill the broker", "terminate storage", "kill everything"),
    ),
    "connections are cut, hang and go on, and are slow": (
        34,
        (
            "cut connections to the broker",
            "cut connections to storage",
            "hold connections to the broker",
            "hold connections to storage",
            "slow connections to the broker",
            "slow connections to storage",
        ),
    ),
    "storage is busy, throttles, refuses everybody, deletes containers, and loses answers": (
        34,
        (
            "storage answers 503",
            "storage answers 429",
            "storage answers 401",
            "storage answers 403",
            "storage answers 404",
            "storage answers 409",
            "answers of storage are lost",
        ),
    ),
    "a chunk is damaged and a job is cancelled, while new and old events come again": (
        25,
        (
            "damage a chunk",
            "cancel a job",
            "events come twice",
            "old events come again, shuffled",
        ),
    ),
    "users delete their jobs and uploads, and submit again": (
        25,
        (
            "cancel and delete a job",
            "delete a job",
            "delete an upload",
            "submit a deleted job's video again",
        ),
    ),
}

SLOW_RUNS: dict[str, tuple[int, tuple[Kind, ...]]] = {
    "services stand still for longer than ownership lives, and versions are said to be wrong": (
        52,
        ("freeze stylizer", "freeze splitter", "freeze assembler", "storage answers 412"),
    ),
    "half of the storage is away, the topic, and a hub": (
        44,
        (
            "away for a while: the users' account",
            "away for a while: the internal account",
            "away for a while: the topic",
            "away for a while: the segments hub",
        ),
    ),
    "a segment and copied tracks are damaged while the broker's connections fall silent": (
        179,
        ("damage a segment", "damage copied tracks", "silence connections to the broker"),
    ),
    "hubs are away, one after another": (
        22,
        ("away for a while: the uploads hub", "away for a while: the frames hub"),
    ),
    "chunks' events are lost": (23, ("lose chunks' events",)),
    "uploads' events are lost": (31, ("lose uploads' events",)),
    "segments' events are lost": (32, ("lose segments' events",)),
    "the hubs are made anew": (24, ("make the hubs anew",)),
    "other settings are rolled out": (25, ("roll out other settings",)),
    "a newer version is rolled out": (26, ("roll out a newer version",)),
    "styles are updated under open jobs": (33, ("roll out updated styles",)),
    "a clock is wrong": (27, ("put a clock wrong",)),
    "uploads are touched and replaced while they are split": (
        30,
        ("touch an upload", "replace an upload"),
    ),
    "users act at random while events come again and assemblers die": (
        30,
        ("users act at random", "old events come again, shuffled", "kill assembler"),
    ),
    "the disk is full": (29, ("fill the disk",)),
    "services have no memory left": (
        28,
        ("starve stylizer", "starve splitter", "starve assembler"),
    ),
    # Five attempts, each in a process of its own.
    "a chunk kills whoever paints it": (17, ("poison a chunk",)),
    # Longer than anything may stand still that is lost.
    "no stylizer is left for a while": (21, ("take all stylizers away",)),
    # A client of storage takes a silent connection for a slow one for a whole minute.
    "the storage's connections fall silent": (16, ("silence connections to storage",)),
}
EVERY_RUN = [
    *RUNS,
    *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_RUNS),
]


def told(violations: Iterable[Violation]) -> str:
    return "\n".join(map(str, violations))


def test_the_runs_commit_every_kind_of_fault() -> None:
    runs = RUNS | SLOW_RUNS
    assert {kind for _, kinds in runs.values() for kind in kinds} == set(KINDS)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", EVERY_RUN)
async def test_the_promises_hold_when(arena, name: str) -> None:
    seed, kinds = (RUNS | SLOW_RUNS)[name]
    outcome = await chaos_run(arena, seed, sorted(set(kinds)), clips=FEWER_CLIPS, patience_s=120.0)
    assert told(outcome.violations) == ""
    assert outcome.settled
    assert {fault.kind for fault in outcome.faults} == set(kinds)


@pytest.mark.asyncio(loop_scope="session")
async def test_at_the_end_the_broker_itself_confirms_that_nothing_is_left_to_do(arena) -> None:
    history = await arena.history(surely=True)
    assert told(check(history)) == ""
    # Not empty, even where no other run came before.
    undisturbed = {wanted(clip.name, STYLES[0]) for clip in FEWER_CLIPS}
    assert {upload.clip for upload in history.uploads} >= undisturbed


@pytest.mark.asyncio(loop_scope="session")
async def test_segments_written_over_each_other_are_found(arena) -> None:
    """The last test here: what is broken on purpose stays in the arena's history."""
    for stylizer in arena.stylizers:
        await arena.exchange(stylizer.name, "tests.chaos.mutants.overwritten_segments")
    known = set(check(await arena.history()))
    await arena.submit(FEWER_CLIPS[0])
    assert await arena.jobs_ended(120.0)
    found = set(check(await arena.history())) - known
    assert "I2" in {violation.promise for violation in found}
