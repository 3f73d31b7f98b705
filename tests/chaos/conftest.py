"""One stack behind proxies for all runs, and the results of undisturbed runs for comparison."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chaos.arena import Arena
from chaos.clips import FEWER_CLIPS
from chaos.history import Clip
from chaos.run import calm_run


@pytest.fixture(scope="module")
def clips() -> dict[str, Clip]:
    """What is known of the clips; the arena adds the undisturbed results."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def arena(
    tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Clip]
) -> AsyncIterator[Arena]:
    """A stack with two stylizers that has painted every clip once, in peace.

    Its services look for work many times a second, so it ends before tests of other modules.
    """
    async with Arena(tmp_path_factory.mktemp("arena"), clips) as arena:
        calm = await calm_run(arena, FEWER_CLIPS)
        assert calm.settled
        assert calm.violations == ()
        yield arena
