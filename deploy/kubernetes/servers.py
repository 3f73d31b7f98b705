"""Adapts manifests to older API servers, and compares what was sent with what is stored."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from deploy.kubernetes.manifests import Manifest, quantity

Version = tuple[int, int]

# What our manifests use that older servers lack: since when, and what those have instead.
_VERSIONS: Final[dict[str, tuple[Version, str]]] = {
    "policy/v1": ((1, 21), "policy/v1beta1"),
    "autoscaling/v2": ((1, 23), "autoscaling/v2beta2"),
}
_FIELDS: Final[tuple[tuple[Version, str, str], ...]] = (
    ((1, 21), "Job", "ttlSecondsAfterFinished"),
    ((1, 27), "PodDisruptionBudget", "unhealthyPodEvictionPolicy"),
)


def as_known_to(
    version: Version, manifests: Iterable[Manifest]
) -> tuple[tuple[Manifest, ...], list[str]]:
    """Return manifests that a server of this version accepts, and a note for each adaptation.

    For a server that knows everything that they use, they are unchanged.
    """
    adapted, notes = [], set()
    for manifest in manifests:
        changed: dict[str, Any] = copy.deepcopy(dict(manifest))
        since, older = _VERSIONS.get(manifest["apiVersion"], (version, ""))
        if version < since:
            changed["apiVersion"] = older
            notes.add(f"{manifest['apiVersion']} as {older}, for a server before {_text(since)}")
        for since, kind, field in _FIELDS:
            if version < since and kind == manifest["kind"] and field in changed["spec"]:
                del changed["spec"][field]
                notes.add(f"without {kind}.spec.{field}, for a server before {_text(since)}")
        adapted.append(changed)
    return tuple(adapted), sorted(notes)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def lost(sent: Any, stored: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that a server was sent and has not stored.

    Equal quantities may be written differently, and an empty value may be missing.
    """
    if isinstance(sent, Mapping) and isinstance(stored, Mapping):
        for key, value in sent.items():
            below = f"{path}.{key}" if path else key
            if key in stored:
                yield from lost(value, stored[key], below)
            elif value not in ("", None, [], {}):
                yield below
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        for index, (value, kept) in enumerate(zip(sent, stored, strict=True)):
            yield from lost(value, kept, f"{path}[{index}]")
    elif sent != stored and not _same_quantity(sent, stored):
        yield path


def _same_quantity(sent: Any, stored: Any) -> bool:
    try:
        return quantity(str(sent)) == quantity(str(stored))
    except ValueError:
        return False
