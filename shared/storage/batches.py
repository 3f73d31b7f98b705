"""Deletes many blobs with few requests."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import ContainerClient

MOST: Final = 64
"""The most blobs in a batch. Storage accepts 256, but Azurite answers nobody else meanwhile, which
takes seconds once it holds ten thousand."""

_BOUNDARY: Final = "boundary="


async def delete_batch(
    client: ContainerClient, names: Sequence[str]
) -> dict[str, HttpResponseError]:
    """Delete up to `MOST` blobs with one request; return the errors of those that stay, by name.

    Raises:
        AzureError: the request as a whole failed.
    """
    answers = await client.delete_blobs(
        *names,
        raise_on_any_failure=False,
        raw_request_hook=_plain_boundary,
        # The SDK drops an account name in the path, except for 127.0.0.1 and localhost.
        url_prepend=urlsplit(client.url).path.rpartition("/")[0].strip("/"),
    )
    # The answers come in the order of the names; one alone is about the request as a whole.
    return {
        name: HttpResponseError(response=one)
        for name, one in zip(names, [one async for one in answers], strict=False)
        if one.status_code >= HTTPStatus.MULTIPLE_CHOICES
    }


def _plain_boundary(request: Any) -> None:
    """Keep "=" out of the boundary between the parts: Azurite cuts it off at the first one."""
    message = request.http_request
    content_type = message.headers["Content-Type"]
    boundary = content_type.partition(_BOUNDARY)[2]
    plain = boundary.replace("=", "-")
    message.headers["Content-Type"] = content_type.replace(boundary, plain)
    message.set_bytes_body(message.body.replace(boundary.encode(), plain.encode()))
