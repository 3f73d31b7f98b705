"""What an error response of storage means, by its ``x-ms-error-code``. Pure, no I/O.

The status alone does not say: a 404 may be about a container that is being recreated, a 409 about a
blob in the archive tier. A response without a code did not come from storage at all, but from a
proxy or gateway in front of it, and says nothing about a blob.

Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError, ServiceResponseTimeoutError

from shared.contracts.errors import (
    DeniedError,
    DoubtfulError,
    LockedError,
    NoContainerError,
    PermanentError,
    StylestreamError,
    TransientError,
)


class Answer(Enum):
    """What follows from an error response."""

    ABSENT = auto()
    """There is no such blob."""
    EXISTS = auto()
    """The blob exists already."""
    CHANGED = auto()
    """The blob is not, or no longer, at the version that the request named."""
    FINAL = auto()
    """The same request will always fail in the same way."""
    DOUBTFUL = auto()
    """The request is probably wrong; that is certain once it has failed like this a few times."""
    DENIED = auto()
    """Storage refuses the credentials; an operator can fix that."""
    NO_CONTAINER = auto()
    """There is no such container; an operator can fix that, too."""
    UNAVAILABLE = auto()
    """Storage cannot answer now: throttling, an outage, a container that is being deleted."""


_BY_CODE: Final = {
    "BlobNotFound": Answer.ABSENT,
    "BlobAlreadyExists": Answer.EXISTS,
    # A blob that is leased, or that the identity may not overwrite, exists.
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
    "AccountBeingCreated": Answer.UNAVAILABLE,
    "AccountIsDisabled": Answer.UNAVAILABLE,
    "ContainerBeingDeleted": Answer.UNAVAILABLE,
    "ContainerDisabled": Answer.UNAVAILABLE,
    "ContainerNotFound": Answer.NO_CONTAINER,
    # Another writer of the same blob committed its block list first.
    "InvalidBlobOrBlock": Answer.UNAVAILABLE,
    "InvalidBlockList": Answer.UNAVAILABLE,
    "Md5Mismatch": Answer.UNAVAILABLE,
    "OperationTimedOut": Answer.UNAVAILABLE,
    "PendingCopyOperation": Answer.UNAVAILABLE,
    "ServerBusy": Answer.UNAVAILABLE,
    "SystemInUse": Answer.UNAVAILABLE,
}

_REMEDIES: Final = {
    "BlobArchived": "it is in the archive tier: bring it to the hot or cool tier, and then upload "
    "or copy it again",
    "BlobBeingRehydrated": (
        "it is being moved out of the archive tier: upload or copy it again once that is complete"
    ),
    "BlobImmutableDueToPolicy": (
        "an immutability policy protects it: remove the policy from its container"
    ),
    "BlobUsesCustomerSpecifiedEncryption": (
        "it is encrypted with a key that only its uploader has: upload it without one"
    ),
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
    """Return what an error of the SDK means."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return meaning(status, error_code(error))


def meaning(status: int | None, code: str | None) -> Answer:
    """Return what a response with this status and ``x-ms-error-code`` means.

    >>> meaning(409, "BlobArchived"), meaning(409, "BlobAlreadyExists"), meaning(409, None)
    (<Answer.FINAL: 4>, <Answer.EXISTS: 2>, <Answer.UNAVAILABLE: 8>)
    """
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _DENIED:
        return Answer.DENIED
    if status is None or code is None or status in _LATER:
        return Answer.UNAVAILABLE
    wrong = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Answer.DOUBTFUL if wrong else Answer.UNAVAILABLE


def error_code(error: AzureError) -> str | None:
    """Return the response's ``x-ms-error-code``; None without a response from storage."""
    response: Any = error.response if isinstance(error, HttpResponseError) else None
    if response is None:
        return None
    # The SDK's attribute is an enum or a string, and missing from some of its errors.
    code = response.headers.get("x-ms-error-code") or getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) if code else None


def sentence(error: AzureError) -> str:
    """Return why a request failed: with the remedy where there is one, else in storage's words."""
    if remedy := _REMEDIES.get(error_code(error) or ""):
        return remedy
    if isinstance(error, ServiceResponseTimeoutError):
        return "storage has not answered in time"
    return (error.message.splitlines() or ["no reason given"])[0]


def failure(verb: str, container: str, name: str, error: AzureError) -> StylestreamError:
    """Return the exception for a failed attempt to ``verb`` a blob."""
    what = f"cannot {verb} blob {container}/{name}"
    match answer(error):
        case Answer.FINAL:
            return PermanentError("STORAGE_REFUSED", f"{what}: {sentence(error)}")
        case Answer.DOUBTFUL:
            return DoubtfulError("STORAGE_REFUSED", f"{what}: {sentence(error)}")
        case Answer.DENIED:
            return DeniedError(
                f"{what}: storage refuses the credentials; renew them or grant the role: "
                f"{sentence(error)}"
            )
        case Answer.NO_CONTAINER:
            return NoContainerError(f"{what}: {sentence(error)}")
        case Answer.EXISTS:
            return LockedError(f"{what}: {sentence(error)}")
        case _:
            return TransientError(f"{what}: {sentence(error)}")


@contextmanager
def answered(verb: str, container: str, name: str, *facts: Answer) -> Iterator[None]:
    """Raise the `failure` of a block that attempts to ``verb`` a blob.

    An error that means one of ``facts`` is no failure: it only ends the block.
    """
    try:
        yield
    except AzureError as error:
        if answer(error) not in facts:
            raise failure(verb, container, name, error) from error
