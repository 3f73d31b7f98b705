"""What has to be true of jobs and uploads that a run's users delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from histories import JOB, failed, good, record, status, without

from chaos.history import Announcement, History
from chaos.promises import Promise, check


def deleted(**left: object) -> History:
    """A job that was deleted after its end, and what is left of it."""
    history = with_upload(deleted=True, withdrawn=True, etag="e")
    return replace(history, **{"statuses": {}, "results": (), **left})


def withdrawn(code: str | None = None) -> History:
    """An upload that was deleted before it had a job, or whose job has failed with a code."""
    history = replace(with_upload(withdrawn=True), results=())
    if code is None:
        return replace(history, statuses={}, announcements=())
    end = failed(code)
    calls = [c for c in without(history, record(6.5, status())).calls if c.container != "results"]
    return replace(
        history,
        calls=(*calls, record(6.5, end)),
        statuses={JOB: end},
        announcements=(Announcement(JOB, end),),
    )


def with_upload(**changes: object) -> History:
    [upload] = good().uploads
    return replace(good(), uploads=(replace(upload, **changes),))


@pytest.mark.parametrize(
    "history",
    [deleted(), deleted(announcements=()), withdrawn(), withdrawn("SOURCE_CHANGED")],
    ids=["deleted", "deleted before it was announced", "withdrawn", "withdrawn while it was read"],
)
def test_no_promise_is_broken_by_a_job_that_is(history: History) -> None:
    assert check(history) == []


SPOILT: dict[str, tuple[Promise, Callable[[], History]]] = {
    "its record": ("TIDY", lambda: deleted(statuses={JOB: status()})),
    "its result": ("TIDY", lambda: deleted(results=good().results)),
    "its upload": ("TIDY", lambda: deleted(videos=frozenset({(good().uploads[0].name, "e")}))),
    "another end": (
        "TOLD",
        lambda: deleted(
            announcements=(Announcement(JOB, status()), Announcement(JOB, failed("STALLED")))
        ),
    ),
    "a failure for another cause": ("END", lambda: withdrawn("ASSEMBLER_ERROR")),
}


@pytest.mark.parametrize("left", SPOILT)
def test_a_promise_is_broken_by_a_job_that_was_deleted_and_has(left: str) -> None:
    promise, spoil = SPOILT[left]
    assert {violation.promise for violation in check(spoil())} == {promise}
