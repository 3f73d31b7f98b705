"""An assembler that does not check a job's copied tracks."""

from __future__ import annotations

import runpy
from pathlib import Path

from assembler import assembly
from assembler.materials import Materials
from shared.contracts.manifest import Manifest
from shared.storage.seals import file_digest

_claimed: dict[Path, str | None] = {}
"""By file of copied tracks: the digest that its manifest states."""


async def _fetch_unchecked(self: Materials, manifest: Manifest, folder: Path) -> Path | None:
    if manifest.side is None:
        return None
    path = folder / Path(manifest.side).name
    await self._blobs.download(self._frames, manifest.side, path)
    _claimed[path] = manifest.side_sha256
    return path


def _digest_as_claimed(path: Path) -> str:
    return _claimed.get(path) or file_digest(path)


Materials.side = _fetch_unchecked  # type: ignore[method-assign]
assembly.file_digest = _digest_as_claimed

runpy.run_module("assembler", run_name="__main__")
