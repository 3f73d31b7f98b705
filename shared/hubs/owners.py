"""Names of partitions' owners in storage: a consumer together with its version.

So anyone who may read the positions of a deployment sees which versions run there. To the SDK, an
owner's name is an opaque string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_BETWEEN: Final = "@"


def format_owner(consumer: str, version: str) -> str:
    """Return the name of an owner; empty if ``consumer`` is.

    >>> format_owner("4f1c", "0.1.0"), format_owner("", "0.1.0")
    ('4f1c@0.1.0', '')
    """
    # Blob metadata is sent in HTTP headers.
    said = re.sub(r"[^\w.+-]", "-", version, flags=re.ASCII)
    return f"{consumer}{_BETWEEN}{said}" if consumer else ""


def parse_owner(owner: str) -> tuple[str, str]:
    """Return the consumer and the version in an owner's name, each empty if missing.

    >>> parse_owner("4f1c@0.1.0"), parse_owner("")
    (('4f1c', '0.1.0'), ('', ''))
    """
    consumer, _, version = owner.partition(_BETWEEN)
    return consumer, version


def signs_of_life(written: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """Return, by partition, when its owner last showed that it was alive.

    An owner renews one of its partitions on behalf of all. ``written`` has, by partition, the
    owner's name in storage and when it was written.

    >>> signs_of_life({"0": ("a@2", 1.0), "1": ("a@2", 9.0), "2": ("b@1", 3.0)})
    {'0': 9.0, '1': 9.0, '2': 3.0}
    """
    latest: dict[str, float] = {}
    for owner, written_s in written.values():
        latest[owner] = max(latest.get(owner, written_s), written_s)
    return {partition: latest[owner] for partition, (owner, _) in written.items()}


def name_in(metadata: Mapping[str, str]) -> str:
    """Return the owner's name in an ownership blob's metadata; empty without an owner."""
    return metadata.get("ownerid", "")


def owner_in(metadata: Mapping[str, str]) -> tuple[str, str]:
    """Return the consumer and its version from an ownership blob's metadata."""
    return parse_owner(name_in(metadata))
