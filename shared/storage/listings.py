"""Finds the blob whose name makes it impossible to list a container.

Azurite accepts blobs with control characters in their names, and then refuses every listing that
would contain one. Azure refuses the names instead.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import ContainerClient

from shared.telemetry.escapes import escaped

_PAGE: Final = 100
_REFUSED: Final = HTTPStatus.INTERNAL_SERVER_ERROR


async def unlistable(container: ContainerClient, error: BaseException | None) -> str | None:
    """Return where the name is that made a listing fail with ``error``; None for other failures.

    It is the rest of a sentence, such as ``comes after 'a.mp4' in the order of names``.
    """
    if not isinstance(error, HttpResponseError) or error.status_code != _REFUSED:
        return None
    before = await _last_listed(container)
    if before is None:
        return None
    return f"comes {f'after {escaped(before)!r}' if before else 'first'} in the order of names"


async def _last_listed(container: ContainerClient) -> str | None:
    """Return the name before the one that fails a listing, perhaps empty.

    None if no name fails it, or storage cannot be asked.
    """
    last, token = "", None
    for size in (_PAGE, 1):
        # Tried once: the refusal is the expected answer.
        pages = container.list_blobs(results_per_page=size, retry_total=0).by_page(token)
        try:
            async for page in pages:
                last = ([last] + [blob.name async for blob in page])[-1]
                token = pages.continuation_token  # type: ignore[attr-defined]
        except HttpResponseError:
            continue
        except AzureError:
            return None
        return None
    return last
