"""What a partition's owner is called in storage: a consumer, and the version that it is of.

So whoever may read the positions of a deployment sees which versions run there. To the SDK, and to
consumers of versions that signed nothing, an owner's name is any text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_BETWEEN: Final = "@"


def signed(consumer: str, version: str) -> str:
    """Return the name of an owner; of nobody, nothing.

    >>> signed("4f1c", "0.1.0"), signed("", "0.1.0")
    ('4f1c@0.1.0', '')
    """
    # Metadata of blobs are HTTP headers.
    said = re.sub(r"[^\w.+-]", "-", version, flags=re.ASCII)
    return f"{consumer}{_BETWEEN}{said}" if consumer else ""


def parted(owner: str) -> tuple[str, str]:
    """Return a consumer and its version; where none is, nothing.

    >>> parted("4f1c@0.1.0"), parted("4f1c"), parted("")
    (('4f1c', '0.1.0'), ('4f1c', ''), ('', ''))
    """
    consumer, _, version = owner.partition(_BETWEEN)
    return consumer, version


def owner_in(metadata: Mapping[str, str | None]) -> tuple[str, str]:
    """Return the consumer and its version in an ownership blob's metadata."""
    # Listings tell an empty value as None.
    return parted(metadata.get("ownerid") or "")
