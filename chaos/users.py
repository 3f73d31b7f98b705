"""What users do with their jobs: cancel and delete them, change uploads, and upload them again.

Users have their own connection to storage, and work with the client and with any tool for blobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Final, get_args

from chaos.arena import Arena
from chaos.clips import CLIPS, parts_of, wanted
from chaos.history import Upload
from chaos.plan import Kind, UserAction
from chaos.settings import STYLES
from shared.contracts.layout import status_blob
from shared.contracts.messages import SplitCompleted, SplitFailed, SplitStarted

_NEWEST: Final = 2
_PATIENCE_S: Final = 20.0
"""How long a user waits for the end of a job."""
_PAUSE_S: Final = 1.0
_AT_ONCE: Final = 2
_AT_RANDOM: Final[tuple[UserAction, ...]] = get_args(UserAction)


class Users:
    """Does in an arena what its users may do, as ``rng`` decides."""

    def __init__(self, arena: Arena, rng: random.Random) -> None:
        self._arena = arena
        self._rng = rng

    async def act(self, kind: Kind, seconds: float = 0.0) -> None:
        """Act as a kind of fault says, if there is a job or an upload to do so with."""
        match kind:
            case "cancel a job":
                await self._cancel(self._begun())
            case "cancel and delete a job":
                await self._cancel_and_delete(self._begun())
            case "delete a job":
                await self._delete(await self._ended())
            case "delete an upload":
                await self._delete_upload(self._being_split())
            case "submit a deleted job's video again":
                await self._submit_again(self._begun())
            case "touch an upload":
                await self._touch(self._being_split())
            case "replace an upload":
                await self._replace(self._being_split())
            case "users act at random":
                users = [random.Random(self._rng.getrandbits(32)) for _ in range(_AT_ONCE)]  # noqa: S311
                await asyncio.gather(*(_act_at_random(self._arena, u, seconds) for u in users))
            case _:
                raise AssertionError(kind)

    async def _cancel(self, upload: Upload | None) -> None:
        if upload is not None:
            recorder = self._arena.recorder
            recorder.note_cancelling(upload.job_id)
            if (call := await self._arena.storage.cancel(upload.job_id)) is not None:
                recorder.note_call(call)

    async def _cancel_and_delete(self, upload: Upload | None) -> None:
        await self._cancel(upload)
        await self._delete(upload)

    async def _delete(self, upload: Upload | None) -> None:
        if upload is not None:
            self._arena.recorder.note_deletion(upload.job_id)
            await self._arena.storage.delete_job(upload.job_id)

    async def _delete_upload(self, upload: Upload | None) -> None:
        if upload is not None:
            self._arena.recorder.note_withdrawal(upload.name)
            await self._arena.storage.delete_upload(upload.name)

    async def _submit_again(self, upload: Upload | None) -> None:
        """Upload a job's video anew as soon as the job is cancelled and deleted."""
        if upload is not None:
            await self._cancel_and_delete(upload)
            await self._upload(upload.name, *parts_of(upload.clip))

    async def _touch(self, upload: Upload | None) -> None:
        """Change an upload's metadata: another version, the same bytes."""
        if upload is not None and (etag := await self._arena.storage.touch(upload.name)):
            clip, style = parts_of(upload.clip)
            self._arena.recorder.note_version(upload.name, etag, wanted(clip, style), style)

    async def _replace(self, upload: Upload | None) -> None:
        """Upload another clip under an upload's name."""
        arena = self._arena
        if upload is None:
            return
        clip, style = parts_of(upload.clip)
        others = [c for c in arena.videos if c != clip and wanted(c, style) in arena.clips]
        if others:
            arena.recorder.note_damage_by(upload.job_id, "SOURCE_CHANGED")
            await self._upload(upload.name, self._rng.choice(others), style)

    async def _upload(self, name: str, clip: str, style: str) -> None:
        arena = self._arena
        etag = await arena.storage.upload(name, arena.videos[clip], style)
        arena.recorder.note_version(name, etag, wanted(clip, style), style)

    def _begun(self) -> Upload | None:
        """Return the upload of one of the newest jobs that have a record."""
        recorder = self._arena.recorder
        records = {
            call.name
            for call in recorder.calls
            if call.container == "jobs" and call.operation == "write" and call.succeeded
        }
        found = [u for u in recorder.uploads if status_blob(u.job_id) in records]
        return self._one_of([u for u in found if not u.deleted][-_NEWEST:])

    async def _ended(self) -> Upload | None:
        """Return the upload of one of the newest jobs that have ended; wait a while for one."""
        recorder = self._arena.recorder

        def now() -> list[Upload]:
            there = [u for u in recorder.uploads if not u.deleted]
            return [u for u in there if recorder.had_ended(u.job_id, time.time())][-_NEWEST:]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while not now():
                    await recorder.progress()
        return self._one_of(now())

    def _being_split(self) -> Upload | None:
        """Return the newest version of an upload that is being split."""
        recorder = self._arena.recorder
        messages = [event.message for event in recorder.events]
        begun = {m.job_id for m in messages if isinstance(m, SplitStarted)}
        ended = {m.job_id for m in messages if isinstance(m, (SplitCompleted, SplitFailed))}
        versions = {u.name: u for u in sorted(recorder.uploads, key=lambda u: u.at)}
        # The lost event of a version that is replaced cannot be recovered from storage.
        lost = [e for e in recorder.events if (e.hub, e.partition, e.sequence) in recorder.lost]
        announced = {name for event in lost for name in event.uploads}
        return self._one_of(
            [
                upload
                for upload in versions.values()
                if upload.job_id in begun - ended
                and not (upload.cancelled or upload.deleted or upload.withdrawn)
                and upload.name not in announced
            ]
        )

    def _one_of(self, found: Sequence[Upload]) -> Upload | None:
        return self._rng.choice(found) if found else None


async def _act_at_random(arena: Arena, rng: random.Random, seconds: float) -> None:
    """Be one of several users for a while, who also uploads further videos."""
    users, until = Users(arena, rng), time.monotonic() + seconds
    while time.monotonic() < until:
        kind = rng.choice((*_AT_RANDOM, None))
        if kind is None:
            known = [(c, s) for c in CLIPS for s in STYLES if wanted(c.name, s) in arena.clips]
            await arena.submit(*rng.choice(known))
        else:
            await users.act(kind)
        await asyncio.sleep(rng.uniform(0.0, _PAUSE_S))
