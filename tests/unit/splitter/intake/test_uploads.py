"""BlobCreated events in every form that Event Grid and its relays give them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.contracts.errors import MessageError
from shared.styles.gallery import Gallery
from splitter.intake.style_request import style_request
from splitter.intake.uploads import Upload, parse_uploads

SUBJECT = "/blobServices/default/containers/uploads/blobs/holiday/beach 1.mp4"
DATA = {
    "api": "PutBlockList",
    "eTag": "0x8D4BCC2E4835CD0",
    "contentType": "video/mp4",
    "contentLength": 524288,
    "blobType": "BlockBlob",
    "url": "https://acc.blob.core.windows.net/uploads/holiday/beach%201.mp4",
    "sequencer": "00000000000004420000000000028963",
}
UPLOAD = Upload(
    "uploads",
    "holiday/beach 1.mp4",
    "0x8D4BCC2E4835CD0",
    "https://acc.blob.core.windows.net/uploads/holiday/beach%201.mp4",
)


def cloud_event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "Microsoft.Storage.BlobCreated",
        "source": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a",
        "subject": SUBJECT,
        "id": "9aeb0fdf-c01e-0131-0922-9eb54906e209",
        "time": "2026-11-18T15:13:39.4589254Z",
        "data": DATA,
        **changes,
    }


def grid_event(**changes: Any) -> dict[str, Any]:
    return {
        "topic": "/subscriptions/s",
        "subject": SUBJECT,
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-11-18T15:13:39.4589254Z",
        "id": "9aeb0fdf-c01e-0131-0922-9eb54906e209",
        "data": DATA,
        "dataVersion": "",
        "metadataVersion": "1",
        **changes,
    }


def parse(content: object) -> list[Upload]:
    return parse_uploads(json.dumps(content).encode())


@pytest.mark.parametrize("event", [cloud_event(), grid_event()])
def test_both_schemas_describe_the_same_upload(event: dict[str, Any]) -> None:
    assert parse(event) == [UPLOAD]
    assert parse([event]) == [UPLOAD]


@pytest.mark.parametrize("make", [cloud_event, grid_event])
def test_a_file_that_is_renamed_into_place_is_an_upload_each_time(
    make: Callable[..., dict[str, Any]],
) -> None:
    data = {
        "api": "RenameFile",
        "destinationUrl": UPLOAD.url.replace(".blob.", ".dfs."),
        "sourceUrl": "https://acc.dfs.core.windows.net/aside/beach.tmp",
        "sequencer": "00000000000004420000000000028963",
    }
    kind = {cloud_event: "type", grid_event: "eventType"}[make]
    renamed = {kind: "Microsoft.Storage.BlobRenamed", "data": data}
    [upload] = parse(make(**renamed))
    assert (upload.container, upload.name) == (UPLOAD.container, UPLOAD.name)
    assert parse(make(**renamed)) == [upload]
    later = renamed | {"data": data | {"sequencer": "00000000000004420000000000028964"}}
    assert parse(make(**later)) != [upload]
    assert parse(make(**{kind: "Microsoft.Storage.DirectoryRenamed"})) == []
    with pytest.raises(MessageError, match="sequencer or destinationUrl"):
        parse(make(**renamed | {"data": DATA | {"sequencer": ""}}))


def test_a_batch_yields_all_its_uploads() -> None:
    other = cloud_event(subject=SUBJECT.replace("beach 1", "日本語 'q' 🎬"))
    assert parse([cloud_event(), other]) == [
        UPLOAD,
        Upload("uploads", "holiday/日本語 'q' 🎬.mp4", UPLOAD.etag, UPLOAD.url),
    ]


def test_a_subject_without_leading_slash_and_a_quoted_etag_mean_the_same() -> None:
    event = cloud_event(subject=SUBJECT[1:], data={**DATA, "eTag": '"0x8D4BCC2E4835CD0"'})
    assert parse(event) == [UPLOAD]


@pytest.mark.parametrize(
    "event",
    [
        cloud_event(type="Microsoft.Storage.BlobDeleted"),
        grid_event(eventType="Microsoft.Storage.BlobDeleted"),
        cloud_event(data={**DATA, "api": "CreateFile", "contentLength": 0}),
        cloud_event(data={**DATA, "api": "SftpCreate", "contentLength": 0}),
    ],
)
def test_events_that_are_not_finished_uploads_are_left_out(event: dict[str, Any]) -> None:
    assert parse(event) == []


@pytest.mark.parametrize(
    "content",
    [
        "text",
        7,
        None,
        {},
        [[]],
        cloud_event(subject="/somewhere/else"),
        cloud_event(subject=["/somewhere"]),
        cloud_event(data={"eTag": "0x1"}),
        cloud_event(data={}),
        cloud_event(data="text"),
        {"specversion": "1.0"},
    ],
)
def test_whatever_is_no_event_is_refused(content: object) -> None:
    with pytest.raises(MessageError):
        parse(content)


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(MessageError):
        parse_uploads(b"\x00\xff")
    with pytest.raises(MessageError):
        parse_uploads(b"[" * 100_000)


@pytest.mark.parametrize(
    ("name", "metadata", "style"),
    [
        ("clip.mp4", {}, "starry-night"),
        ("clip.mp4", {"Style": "the-scream"}, "the-scream"),
        ("the-scream/clip.mp4", {}, "the-scream"),
        ("the-scream/clip.mp4", {"style": "starry-night"}, "starry-night"),
        ("the-scream", {}, "starry-night"),
        ("holiday/clip.mp4", {}, "starry-night"),
        ("clip.mp4", {"style": "unheard-of"}, "unheard-of"),
    ],
)
def test_metadata_goes_before_folder_goes_before_default(
    name: str, metadata: dict[str, str], style: str
) -> None:
    assert style_request(name, metadata, Gallery(), "starry-night").style == style


@pytest.mark.parametrize("text", ["0", "-5", "1e3", "much", "99999", "٣٢"])
def test_an_invalid_size_cap_is_refused(text: str) -> None:
    from shared.contracts.errors import StyleError

    with pytest.raises(StyleError, match="max_side"):
        style_request("clip.mp4", {"max_side": text}, Gallery(), "starry-night")
