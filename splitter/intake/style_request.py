"""Determine how an upload is to be painted: by its metadata, else its folder, else the default."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.errors import PermanentError, SourceRefused, StyleError
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import parse_style_request
from shared.storage.descriptions import BlobFacts
from shared.styles.gallery import Gallery


def style_request(
    name: str, metadata: Mapping[str, str], gallery: Gallery, default: str
) -> StyleRequest:
    """Return the style request of the upload called ``name``.

    Metadata keys are case-insensitive, because storage services may change their case.

    Raises:
        StyleError: a value in the metadata cannot be parsed.
    """
    folder, _, rest = name.partition("/")
    otherwise = folder if rest and folder in gallery else default
    return parse_style_request({key.lower(): text for key, text in metadata.items()}, otherwise)


def resolve_style(
    name: str, upload: BlobFacts, gallery: Gallery, default: str
) -> tuple[StyleRequest, PermanentError | None]:
    """Return how an upload is to be painted, and the reason if it cannot be, for its user."""
    try:
        request = style_request(name, upload.metadata, gallery, default)
    except StyleError as error:
        return StyleRequest(style=default), error
    if upload.appendable:
        return request, SourceRefused(
            "APPEND_BLOB",
            "The upload is an append blob, which may still grow: upload it as a block blob.",
        )
    try:
        gallery.require(request)
    except StyleError as error:
        return request, error
    return request, None
