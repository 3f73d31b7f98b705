"""How tests are shared among processes: by files, and by folders of files that use one stack."""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling


def uses_one_stack(nodeid: str) -> bool:
    """Tell whether a test is in a folder that one process runs, so that its stack starts once."""
    return _folder(nodeid).name == "one_stack"


class OneStackScheduling(LoadFileScheduling):
    """Keep a file's tests together, as ``--dist=loadfile`` does, and those of such a folder."""

    def _split_scope(self, nodeid: str) -> str:
        return str(_folder(nodeid)) if uses_one_stack(nodeid) else super()._split_scope(nodeid)


def _folder(nodeid: str) -> PurePosixPath:
    return PurePosixPath(nodeid.partition("::")[0]).parent
