"""One open job as the assembler sees it: what was announced, and its status record. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from assembler.agreement import Provenance
from assembler.completeness import Completeness
from assembler.redrive import Redrive
from shared.contracts.manifest import Manifest
from shared.contracts.messages import EventPlace, SegmentReady, SplitCompleted, SplitStarted
from shared.contracts.status import Cost, Failure, Status, Waiting, iso, utc_now
from shared.hubs.delivery import Delivery, Place
from shared.hubs.positions import Incarnation
from shared.hubs.watermark import Ticket
from shared.storage.manifests import Stored
from shared.telemetry.spans import Carrier

_NAMED: Final = 10  # a sentence, not a list

_SOONEST_S: Final = 0.5
_SHARE_OF_AGE: Final = 0.25
"""A young job's record is stored at intervals of this share of its age, `_SOONEST_S` at least."""


def first_record(event: SplitStarted) -> Status:
    """Return the first status record of a job."""
    now = utc_now()
    return Status(
        job_id=event.job_id,
        state="queued" if event.queued else "splitting",
        video_name=event.video_name,
        video_url=event.video_url,
        style=event.style,
        uploaded_at=iso(event.uploaded_at) if event.uploaded_at else "",
        started_at=now,
        updated_at=now,
        upload_event=event.upload_event,
    )


class Job:
    """The state of an open job, rebuilt from its events after every restart."""

    def __init__(
        self, status: Status, etag: str | None, redrives: int, clock: Callable[[], float]
    ) -> None:
        self.status = status
        self.etag = etag
        """Version of the stored record that `status` supersedes; None before the first write."""
        self.completeness = Completeness()
        self._redrives = defaultdict[str, Redrive](lambda: Redrive(redrives))
        """By the version that the chunks are to be painted in; empty if any will do."""
        self.manifest: Manifest | None = None
        self.stored_manifest: Stored | None = None
        """The manifest as it was read, if that is known."""
        self._leftovers: set[bool] = set()
        """What the job's splits have reported: see `SplitCompleted.leftovers`."""
        self.delivery: Delivery | None = None
        """Its last event; None before the first."""
        self.hub = Incarnation()
        """That of its first event; if it is gone, what came before never comes again."""
        self.trace: Carrier = {}
        """The trace context of its first event."""
        self._receipts: list[Ticket[Place]] = []
        self.concluding = False
        """Whether the job is being concluded; further events no longer change that."""
        self.released = False
        """Whether another assembler gets its events by now, and has to decide about the job."""
        self.ended_elsewhere = status.ended
        """Whether the job had ended when it was taken up, or another assembler has published its
        result since: then it was counted."""
        self._clock = clock
        self._opened = clock()
        self._unpainted: dict[int, str] = {}
        """By chunk, why its segment shows the original frames, if it does."""
        self._work = defaultdict[Provenance, set[int]](set)
        """The segments whose painting is included in the two sums below."""
        self._cpu_s = self._gpu_s = 0.0
        self._assembling: float | None = None
        """When the result was begun, for the last time."""
        self._progressed = self._lived = self._opened
        self._ran: dict[str, float] = {}
        self._sign: object = None
        self._stored = status if etag else None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.status.job_id

    @property
    def redrive(self) -> Redrive:
        """The rounds in which chunks are sent again, to be painted in the version wanted now."""
        return self._redrives[self.completeness.agreement.version]

    @property
    def upload_event(self) -> EventPlace | None:
        """The upload's event, as the splitter that took it up last reported it."""
        return self.status.upload_event

    @property
    def partition_id(self) -> str | None:
        """The partition that the job's events come from; None before the first event."""
        return self.delivery.partition_id if self.delivery else None

    @property
    def leftovers(self) -> bool:
        """Whether there may be blobs of a split that the manifest does not name."""
        return self._leftovers != {False}

    @property
    def unsaved(self) -> bool:
        """Whether the stored record is out of date."""
        # Records are replaced, never changed: most rounds over many jobs compare no fields.
        return self.status is not self._stored and self.status != self._stored

    @property
    def idle_s(self) -> float:
        """Seconds since the job's last progress."""
        return self._clock() - self._progressed

    @property
    def lifeless_s(self) -> float:
        """Seconds since the last progress, or sign of work on this job or on those before it."""
        return self._clock() - max(self._progressed, self._lived)

    @property
    def age_s(self) -> float:
        """Seconds since the job was opened: not before its upload, whatever the record says."""
        return min(self.wait_s, seconds_between(self.status.started_at, utc_now()))

    @property
    def wait_s(self) -> float:
        """Seconds since the upload was written or, if that is unknown, since the job was opened."""
        return seconds_between(self.status.uploaded_at or self.status.started_at, utc_now())

    @property
    def first_segment_s(self) -> float | None:
        """Seconds from the upload to the first painted segment; None before that."""
        status = self.status
        if status.first_segment_at is None:
            return None
        return seconds_between(status.uploaded_at or status.started_at, status.first_segment_at)

    @property
    def video_s(self) -> float:
        """Playing time of the video; 0 until the split is complete."""
        if self.manifest is None:
            return 0.0
        first, last = self.manifest.chunks[0], self.manifest.chunks[-1]
        ticks = last.first_pts + last.duration - first.first_pts
        return float(ticks * self.manifest.source.time_base)

    def due(self, errand: str, every_s: float) -> bool:
        """Return whether the job was idle, and the errand not run, for ``every_s``."""
        return self._clock() - max(self._progressed, self._ran.get(errand, 0.0)) >= every_s

    def last_ran(self, errand: str) -> float:
        """Return when an errand was run last, by the job's clock; 0 before the first time."""
        return self._ran.get(errand, 0.0)

    def ran(self, errand: str) -> None:
        """Note that an errand is run now."""
        self._ran[errand] = self._clock()

    def is_worth_saving(self, every_s: float) -> bool:
        """Return whether the record of a young job is to be stored before the next round.

        Rounds follow each other after ``every_s``, which is too rare for the progress of jobs that
        take seconds.
        """
        now = self._clock()
        pause_s = max(_SOONEST_S, _SHARE_OF_AGE * (now - self._opened))
        return pause_s < every_s and now - self.last_ran("save") >= pause_s and self.unsaved

    def sign_of_life(self, sign: object) -> None:
        """Note a value that changes while the job, or something before it, is being worked on."""
        if sign != self._sign:
            self._lived = self._clock()
        self._sign = sign

    def wait_for(self, reason: str | None) -> None:
        """Note what the job waits for, None for nothing; this does not count as progress."""
        waiting = Waiting(reason=reason, since=self.status.updated_at) if reason else None
        if not self.status.ended and waiting != self.status.waiting:
            self.status = self.status.model_copy(update={"waiting": waiting})

    def take(self, delivery: Delivery) -> None:
        """Take over one of the job's events, which stays unfinished until `done`.

        A film has thousands: of all but the last, only what marks them done is kept.
        """
        if delivery is self.delivery:
            return  # it is processed once more
        if self.delivery is None:
            self.hub, self.trace = delivery.hub, delivery.origin.carrier
        self.delivery = delivery
        self._receipts.append(delivery.receipt)

    def done(self) -> None:
        """Mark all of the job's events done."""
        for receipt in self._receipts:
            receipt.finish()

    def identify(self, event: SplitStarted) -> None:
        """Take over the splitter's facts about the job, whatever the record says."""
        fields = {
            "video_name": event.video_name,
            "video_url": event.video_url,
            "style": event.style,
            "uploaded_at": iso(event.uploaded_at) if event.uploaded_at else "",
        }
        self.status = self.status.model_copy(update=fields)

    def start(self, event: SplitStarted) -> None:
        """Note that a splitter has accepted the upload, or begins to split it."""
        if event.upload_event is not None:
            self.status = self.status.model_copy(update={"upload_event": event.upload_event})
        if self.status.state == "queued" and not event.queued:
            self._update(state="splitting")

    def announce(self, event: SegmentReady) -> None:
        """Note a finished segment; see `Completeness.announce`."""
        provenance = provenance_of(event)
        if event.resend:
            self._redrives[event.wanted].note_answer(event.chunk, event.resend)
        known = self.completeness.knows(event.chunk)
        if self.completeness.announce(event.chunk, event.frames, provenance):
            if known:  # it was painted anew
                self.redrive.reset_rounds()
            self._unpainted.pop(event.chunk, None)
            if event.unpainted:
                self._unpainted[event.chunk] = event.unpainted
        self._count_work(event, provenance)
        self._update(
            chunks_stylized=self.completeness.chunks,
            frames_stylized=self.completeness.frames,
            first_segment_at=self.status.first_segment_at or utc_now(),
            cost=self.cost,
        )

    @property
    def assembling_s(self) -> float:
        """Seconds since the result was begun; 0 before that."""
        return 0.0 if self._assembling is None else self._clock() - self._assembling

    def note_split_end(self, event: SplitCompleted) -> None:
        """Note that a split has come to its end."""
        self._leftovers.add(event.leftovers)

    def seal(self, manifest: Manifest, stored: Stored | None = None) -> None:
        """Take over the exact list of chunks; see `Completeness.seal`."""
        self.completeness.seal(manifest)
        self.manifest, self.stored_manifest = manifest, stored
        self._update(
            state="stylizing",
            frames=manifest.frames,
            chunks=len(manifest.chunks),
            source=manifest.source,
            warnings=manifest.warnings,
        )

    def assemble(self) -> None:
        """Note that the result is being made."""
        self._assembling = self._clock()
        self._update(state="assembling")

    def publish(self, result: str, losses: Sequence[str] = ()) -> None:
        """Note that the result is published, and a sentence for each of its ``losses``."""
        damaged = self.manifest is not None and self.manifest.damaged
        faults = [*losses, *self._explain_unpainted()]
        self._update(
            state="degraded" if damaged or faults else "done",
            result=result,
            cost=self.cost,
            warnings=(*self.status.warnings, *faults),
        )

    def give_up_version(self) -> None:
        """Note that no stylizer has the wanted version any more: see `Agreement`."""
        self.completeness.agreement.give_up_version()

    def move(self, result: str) -> None:
        """Note that the published result has another name now."""
        self.status = self.status.model_copy(update={"result": result})

    def fail(self, code: str, message: str) -> None:
        """Note why there will be no result."""
        self._update(state="failed", error=Failure(code=code, message=message))

    def saved(self, status: Status, etag: str) -> None:
        """Note that ``status`` is stored as version ``etag``."""
        self._stored, self.etag = status, etag

    def explain_loss(self, lost: Sequence[int]) -> str:
        """Say in one sentence which chunks were sent repeatedly and never painted."""
        return f"no stylizer finished these chunks, which were sent repeatedly: {_named(lost)}"

    def _count_work(self, event: SegmentReady, provenance: Provenance) -> None:
        """Count a segment's work: once if its event comes twice, and again if it is painted anew.

        Running sums are kept, because a film has thousands of chunks.
        """
        if event.chunk in self._work[provenance]:
            return
        self._work[provenance].add(event.chunk)
        if event.gpu:
            self._gpu_s += event.work_s
        else:
            self._cpu_s += event.work_s

    @property
    def cost(self) -> Cost:
        """What the job has cost as far as it was announced here, whatever the record says."""
        cpu_s = self._cpu_s + self.assembling_s
        return Cost(cpu_s=round(cpu_s, 3), gpu_s=round(self._gpu_s, 3))

    def _explain_unpainted(self) -> list[str]:
        if not self._unpainted:
            return []
        chunks = sorted(self._unpainted)
        cause = self._unpainted[chunks[0]]
        return [f"these chunks show their original frames: {_named(chunks)} ({cause})"]

    def _update(self, **changes: Any) -> None:
        if self.status.ended:
            return  # an end is final, whoever stored it
        self._progressed = self._clock()
        moved = {"waiting": None, "updated_at": utc_now()}
        self.status = self.status.model_copy(update={**moved, **changes})


def provenance_of(event: SegmentReady) -> Provenance:
    """Return how an announced segment was made."""
    return Provenance(event.styles, event.encoder)


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two ISO 8601 times; 0 if clocks disagree about their order."""
    passed = datetime.fromisoformat(later) - datetime.fromisoformat(earlier)
    return max(0.0, passed.total_seconds())


def _named(chunks: Sequence[int]) -> str:
    named = ", ".join(map(str, chunks[:_NAMED]))
    return f"{named} and {len(chunks) - _NAMED} more" if len(chunks) > _NAMED else named
