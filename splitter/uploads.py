"""Understands BlobCreated events, in both schemas of Event Grid, single or in a list.

Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent

from shared.errors import MessageError

_BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
# Both services write the subject with a leading slash, some relays without.
_SUBJECT: Final = re.compile(
    r"/?blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<name>.+)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of one blob that was written completely."""

    container: str
    name: str
    etag: str


def parse_uploads(body: bytes) -> list[Upload]:
    """Return the uploads that an event body tells of; events of other types are left out.

    Raises:
        MessageError: the body is no Event Grid event.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        raise MessageError("not an Event Grid event: it is no JSON", body) from error
    events = content if isinstance(content, list) else [content]
    return [upload for event in events if (upload := _parse(event, body)) is not None]


def _parse(event: Any, body: bytes) -> Upload | None:
    try:
        kind, subject, data = _cloud_event(event) if "specversion" in event else _grid_event(event)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MessageError(f"not an Event Grid event: {error}", body) from error
    # Data Lake raises CreateFile when an empty file appears, and FlushWithClose when it is written.
    if kind != _BLOB_CREATED or data.get("api") == "CreateFile":
        return None
    match = _SUBJECT.fullmatch(subject or "")
    etag = str(data.get("eTag", "")).strip('"')
    if match is None or not etag:
        raise MessageError("a BlobCreated event without a blob's path or eTag", body)
    return Upload(match["container"], match["name"], etag)


def _cloud_event(event: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    parsed: CloudEvent[Any] = CloudEvent.from_dict(event)
    return parsed.type, parsed.subject, _data(parsed.data)


def _grid_event(event: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    parsed = EventGridEvent.from_dict(event)
    return parsed.event_type, parsed.subject, _data(parsed.data)


def _data(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError("its data is no object")
    return data
