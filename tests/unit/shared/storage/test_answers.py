"""What storage's responses mean: by their error code, never by the status alone."""

from __future__ import annotations

import pytest

from shared.storage.answers import Answer, meaning


@pytest.mark.parametrize(
    ("status", "code", "means"),
    [
        (404, "BlobNotFound", Answer.ABSENT),
        (404, "ContainerNotFound", Answer.NO_CONTAINER),
        (409, "BlobAlreadyExists", Answer.EXISTS),
        (403, "UnauthorizedBlobOverwrite", Answer.EXISTS),
        (409, "ContainerBeingDeleted", Answer.UNAVAILABLE),
        (409, "BlobArchived", Answer.FINAL),
        (409, "BlobImmutableDueToPolicy", Answer.FINAL),
        (412, "ConditionNotMet", Answer.CHANGED),
        (403, "AuthorizationPermissionMismatch", Answer.DENIED),
        (401, "NoAuthenticationInformation", Answer.DENIED),
        (429, "TooManyRequests", Answer.UNAVAILABLE),
        (503, "ServerBusy", Answer.UNAVAILABLE),
        (500, "InternalError", Answer.UNAVAILABLE),
        (None, None, Answer.UNAVAILABLE),
        # A client error of a kind that nobody knows is believed when it comes again.
        (400, "SomethingNew", Answer.DOUBTFUL),
        (416, "InvalidRange", Answer.DOUBTFUL),
        # What comes without a code was said by something between us and storage.
        (404, None, Answer.UNAVAILABLE),
        (409, None, Answer.UNAVAILABLE),
        (400, None, Answer.UNAVAILABLE),
    ],
)
def test_the_code_decides(status: int | None, code: str | None, means: Answer) -> None:
    assert meaning(status, code) is means
