"""Parse Event Grid's events about new blobs, in both of its schemas, single or in a list.

Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final

from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent

from shared.contracts.errors import MessageError

_BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
# In accounts with a hierarchical namespace, tools write a temporary file and rename it into place.
_BLOB_RENAMED: Final = "Microsoft.Storage.BlobRenamed"
# A file was created and is still empty. Data Lake and SFTP send FlushWithClose and SftpCommit once
# it is written.
_BEGINNINGS: Final = {"CreateFile", "SftpCreate"}
# Errors quote the offending text, and an event may be a megabyte.
_QUOTED: Final = 200
# Event Grid writes the subject with a leading slash, some relays without.
_SUBJECT: Final = re.compile(
    r"/?blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<name>.+)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One version of one completely written blob.

    ``url`` is the blob's address according to the event. It identifies the account and is never
    followed.
    """

    container: str
    name: str
    etag: str
    """The version's ETag; for a renamed file, the sequencer of its rename."""
    url: str


def parse_uploads(body: bytes) -> list[Upload]:
    """Return the uploads that an event body announces; events of other types are skipped.

    Raises:
        MessageError: the body is not an Event Grid event.
    """
    return [upload for event in split_events(body) if (upload := parse_upload(event))]


def upload_event(upload: Upload) -> bytes:
    """Return an event that announces an upload as Event Grid does."""
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/stylestream/splitter",
        "type": _BLOB_CREATED,
        "subject": f"/blobServices/default/containers/{upload.container}/blobs/{upload.name}",
        "data": {"eTag": upload.etag, "url": upload.url},
    }
    return json.dumps(event).encode()


def split_events(body: bytes) -> list[Any]:
    """Return the events of a body, which holds a single one or a list.

    Raises:
        MessageError: the body is not JSON.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MessageError("not an Event Grid event: it is not JSON") from error
    return content if isinstance(content, list) else [content]


def parse_upload(event: Any) -> Upload | None:
    """Return the upload that an event announces; None for events of other types.

    Raises:
        MessageError: it is not an Event Grid event.
    """
    kind, subject, data = parse_event(event)
    if kind == _BLOB_CREATED and str(data.get("api")) not in _BEGINNINGS:
        version, address = "eTag", "url"
    elif kind == _BLOB_RENAMED:
        version, address = "sequencer", "destinationUrl"
    else:
        return None
    match = _SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
    etag, url = str(data.get(version, "")).strip('"'), str(data.get(address, ""))
    if match is None or not etag or not url:
        raise MessageError(f"the event lacks the blob's path, {version} or {address}")
    return Upload(match["container"], match["name"], etag, url)


def parse_event(event: Any) -> tuple[str, object, dict[str, Any]]:
    """Return an event's type, subject and data, in either schema.

    Raises:
        MessageError: it is not an Event Grid event.
    """
    try:
        return _cloud_event(event) if "specversion" in event else _grid_event(event)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise MessageError(f"not an Event Grid event: {str(error)[:_QUOTED]}") from error


def _cloud_event(event: dict[str, Any]) -> tuple[str, object, dict[str, Any]]:
    parsed: CloudEvent[Any] = CloudEvent.from_dict(event)
    return parsed.type, parsed.subject, _data(parsed.data)


def _grid_event(event: dict[str, Any]) -> tuple[str, object, dict[str, Any]]:
    parsed = EventGridEvent.from_dict(event)
    return parsed.event_type, parsed.subject, _data(parsed.data)


def _data(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError("its data is not an object")
    return data
