"""Finds and opens the storage account that a pipeline's users put their videos into.

The caller sits at a prompt: problems that a service would wait out are reported at once, with the
remedy.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
)
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

from client.local_stack import default_dir, running_stack
from shared.contracts.errors import ConfigurationError, TransientError
from shared.service.endpoints import check_storage, check_url
from shared.storage.accounts import storage_client

_VARIABLES: Final = (
    # The users' account takes precedence over the pipeline's own, which serves both by default.
    ("MEDIA_STORAGE_CONNECTION_STRING", "MEDIA_STORAGE_ACCOUNT_URL"),
    ("STORAGE_CONNECTION_STRING", "STORAGE_ACCOUNT_URL"),
)


@dataclass(frozen=True, slots=True)
class Containers:
    """The names of the containers that users work with."""

    uploads: str = "uploads"
    results: str = "results"
    jobs: str = "jobs"


DEFAULT_CONTAINERS: Final = Containers()


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach a storage account: with a connection string, or by signing in to its URL."""

    connection_string: str | None = field(default=None, repr=False)
    url: str | None = None
    containers: Containers = DEFAULT_CONTAINERS
    directory: Path | None = None
    """The directory of the stack on this machine that keeps it; None for any other account."""


def find_account(directory: Path | None) -> Account:
    """Return the account of the stack in ``directory``, the environment, or the default stack.

    Raises:
        ConfigurationError: nothing says where the videos go.
    """
    if directory is None and (named := _from_environment()):
        return named
    directory = directory or default_dir()
    state = running_stack(directory)
    if state is None:
        raise ConfigurationError(
            [
                f"no stack runs in {directory}: start one with '{_start(directory)}', or set "
                "STORAGE_CONNECTION_STRING or STORAGE_ACCOUNT_URL"
            ]
        )
    return Account(state.storage_connection_string, directory=directory)


def _start(directory: Path) -> str:
    of = () if directory == default_dir() else ("--dir", str(directory))
    return shlex.join(["stylestream", "up", *of])


def _from_environment() -> Account | None:
    for names in _VARIABLES:
        connection, url = map(os.environ.get, names)
        if connection and url:
            raise ConfigurationError(
                [f"{names[0]} and {names[1]} are mutually exclusive: set one of them"]
            )
        if not connection and not url:
            continue
        allowed = os.environ.get("ALLOW_HTTP", "").lower() in {"1", "true", "yes", "on"}
        problem = (
            check_storage(names[0], connection, allow_http=allowed)
            if connection
            else check_url(names[1], url or "", allow_http=allowed)
        )
        if problem:
            raise ConfigurationError([problem])
        return Account(connection or None, url or None, _named_containers())
    return None


def _named_containers() -> Containers:
    from shared.service.settings import ServiceSettings

    fields = ServiceSettings.model_fields
    variables = {of: f"{of}_container" for of in Containers.__slots__}
    return Containers(
        **{
            of: os.environ.get(variable.upper()) or fields[variable].default
            for of, variable in variables.items()
        }
    )


@asynccontextmanager
async def open_account(account: Account) -> AsyncIterator[BlobServiceClient]:
    """Open a storage account for as long as the context lasts.

    Raises:
        ConfigurationError: the connection string or the URL is invalid.
        TransientError: whatever the context raised, with the remedy added if there is one.
    """
    async with AsyncExitStack() as closing:
        credential = None
        if not account.connection_string:
            from azure.identity.aio import DefaultAzureCredential

            credential = await closing.enter_async_context(DefaultAzureCredential())
        client = storage_client(account.connection_string, account.url, credential, _FailFastRetry)
        await closing.enter_async_context(client)
        try:
            yield client
        except TransientError as error:
            if explained := _with_remedy(error.__cause__, account, client.primary_hostname):
                raise explained from error
            raise


class _FailFastRetry(ExponentialRetry):
    """Gives up early on an account that has never answered; one that has is worth retrying.

    A failed sign-in is not retried: it would only fail again.
    """

    _answered = False

    # The SDK derives its asynchronous policies from the type of the others.
    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:  # type: ignore[override]
        response: PipelineResponse[Any, Any] = await super().send(request)  # type: ignore[no-untyped-call]
        self._answered = True
        return response

    def increment(
        self,
        settings: dict[str, Any],
        request: Any,
        response: Any = None,
        error: AzureError | None = None,
    ) -> bool:
        if isinstance(error, ClientAuthenticationError):
            return False
        tried_again = settings["count"] > 0
        if isinstance(error, ServiceRequestError) and tried_again and not self._answered:
            return False
        return super().increment(settings, request, response, error)


def _with_remedy(cause: BaseException | None, account: Account, host: str) -> TransientError | None:
    if isinstance(cause, ServiceRequestError):
        return TransientError(
            f"storage does not answer at {host} ({cause.message}): check that the stack is "
            "running ('stylestream up', 'docker compose up') and that the address is right"
        )
    status = cause.status_code if isinstance(cause, HttpResponseError) else None
    if not isinstance(cause, ClientAuthenticationError) and status != HTTPStatus.FORBIDDEN:
        return None
    # An answer from storage itself has a code; if nobody is signed in, it was never asked.
    code = getattr(cause, "error_code", None)
    why = f" ({getattr(code, 'value', code)})" if code else ""
    if account.connection_string:
        return TransientError(f"{host} refuses the key of the connection string{why}: renew it")
    return TransientError(
        f"nobody is signed in, or {host} refuses the account that is{why}: run 'az login'; "
        "docs/security.md lists the roles that are needed"
    )
