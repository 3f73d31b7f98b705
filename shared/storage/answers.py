"""What an answer of storage means, decided by its ``x-ms-error-code``. Pure, no I/O.

The status alone does not tell: a 404 may be of a container that somebody is making anew, a 409 of
a blob in the archive tier. An answer without a code did not come from storage at all, but from a
proxy or gateway before it, and says nothing about a blob.

Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError

from shared.contracts.errors import (
    DeniedError,
    DoubtfulError,
    NoContainerError,
    PermanentError,
    StylestreamError,
    TransientError,
)


class Answer(Enum):
    """What follows from an answer that is none of success."""

    ABSENT = auto()
    """There is no such blob."""
    EXISTS = auto()
    """There is one already."""
    CHANGED = auto()
    """The blob is not, or no longer, at the version that the request named."""
    FINAL = auto()
    """The same request will be answered alike forever."""
    DOUBTFUL = auto()
    """A request that should be wrong; believed once it has been answered so a few times."""
    DENIED = auto()
    """Storage refuses the credentials; an operator can cure that."""
    NO_CONTAINER = auto()
    """There is no such container; an operator can cure that, too."""
    AWAY = auto()
    """Storage cannot answer now: throttling, an outage, a container that is being deleted."""


_BY_CODE: Final = {
    "BlobNotFound": Answer.ABSENT,
    "BlobAlreadyExists": Answer.EXISTS,
    # A blob under a lease, or one that the identity may not write over, is one that exists.
    "LeaseIdMissing": Answer.EXISTS,
    "UnauthorizedBlobOverwrite": Answer.EXISTS,
    "BlobOverwritten": Answer.CHANGED,
    "ConditionNotMet": Answer.CHANGED,
    "TargetConditionNotMet": Answer.CHANGED,
    "BlobArchived": Answer.FINAL,
    "BlobBeingRehydrated": Answer.FINAL,
    "BlobImmutableDueToPolicy": Answer.FINAL,
    "BlobUsesCustomerSpecifiedEncryption": Answer.FINAL,
    "InvalidBlobType": Answer.FINAL,
    "InvalidMetadata": Answer.FINAL,
    "InvalidResourceName": Answer.FINAL,
    "InvalidUri": Answer.FINAL,
    "MetadataTooLarge": Answer.FINAL,
    "OutOfRangeInput": Answer.FINAL,
    "AccountBeingCreated": Answer.AWAY,
    "AccountIsDisabled": Answer.AWAY,
    "ContainerBeingDeleted": Answer.AWAY,
    "ContainerDisabled": Answer.AWAY,
    "ContainerNotFound": Answer.NO_CONTAINER,
    # Another writer of the same blob was faster with its list of blocks.
    "InvalidBlobOrBlock": Answer.AWAY,
    "InvalidBlockList": Answer.AWAY,
    "Md5Mismatch": Answer.AWAY,
    "OperationTimedOut": Answer.AWAY,
    "PendingCopyOperation": Answer.AWAY,
    "ServerBusy": Answer.AWAY,
    "SystemInUse": Answer.AWAY,
}

_REMEDIES: Final = {
    "BlobArchived": "it is in the archive tier: bring it to the hot or cool tier, and then upload "
    "or copy it again",
    "BlobBeingRehydrated": "it is on its way out of the archive tier: upload or copy it again "
    "when it is there",
    "BlobImmutableDueToPolicy": "an immutability policy holds it as it is: take the policy off "
    "its container",
    "BlobUsesCustomerSpecifiedEncryption": "it is encrypted with a key that its uploader alone "
    "has: upload it without one",
    "InvalidBlobType": "it is an append or page blob: upload it as a block blob",
    "ContainerNotFound": "the container is missing: create it",
}

_LATER: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_DENIED: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def answer(error: AzureError) -> Answer:
    """Return what an error of the SDK's means."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return meaning(status, error_code(error))


def meaning(status: int | None, code: str | None) -> Answer:
    """Return what an answer with this status and ``x-ms-error-code`` means.

    >>> meaning(409, "BlobArchived"), meaning(409, "BlobAlreadyExists"), meaning(409, None)
    (<Answer.FINAL: 4>, <Answer.EXISTS: 2>, <Answer.AWAY: 8>)
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _DENIED:
        return Answer.DENIED
    if status is None or code is None or status in _LATER:
        return Answer.AWAY
    wrong = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Answer.DOUBTFUL if wrong else Answer.AWAY


def error_code(error: AzureError) -> str | None:
    """Return the answer's ``x-ms-error-code``; None when there was no answer, or not storage's."""
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is None:
        return None
    # The SDK's attribute is an enumeration or a text, and missing from some of its errors.
    code = response.headers.get("x-ms-error-code") or getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) if code else None


def sentence(error: AzureError) -> str:
    """Return why a request failed: with the remedy where there is one, else in storage's words."""
    if remedy := _REMEDIES.get(error_code(error) or ""):
        return remedy
    return (error.message.splitlines() or ["it does not say why"])[0]


def failure(verb: str, container: str, name: str, error: AzureError) -> StylestreamError:
    """Return what is raised where storage does not do as it is asked."""
    what = f"cannot {verb} blob {container}/{name}"
    match answer(error):
        case Answer.FINAL:
            return PermanentError("STORAGE_REFUSED", f"{what}: {sentence(error)}")
        case Answer.DOUBTFUL:
            return DoubtfulError("STORAGE_REFUSED", f"{what}: {sentence(error)}")
        case Answer.DENIED:
            return DeniedError(
                f"{what}: storage refuses the credentials, renew them or grant the role: "
                f"{sentence(error)}"
            )
        case Answer.NO_CONTAINER:
            return NoContainerError(f"{what}: {sentence(error)}")
        case _:
            return TransientError(f"{what}: {sentence(error)}")
