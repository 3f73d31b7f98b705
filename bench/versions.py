"""Compares this checkout with another one, end to end, on one machine and in one run.

Each runs as a stack with one stylizer, and they paint the same clips alternately, so that other
load on the machine affects both. It relies only on what users rely on (the uploads container, job
records, announcements of jobs' ends) and on `local.stack.Stack` to start a checkout.
``scripts/compare COMMIT`` sets up another commit and runs this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from azure.storage.blob.aio import BlobServiceClient

from bench import markdown
from bench.clip import write_clip
from bench.memory import peak_mib
from local.children import inherited
from local.machine import describe_machine
from local.processes import Command, Supervised
from local.readiness import LineReady
from shared.contracts.errors import StylestreamError

CASES: Final = (((640, 360), 600), ((1280, 720), 150), ((1920, 1080), 72))
"""Sizes, and the frames of a clip that takes seconds at each."""

_HERE: Final = Path(__file__).resolve().parents[1]
_ROUNDS: Final = 5
_LOOK_S: Final = 0.05
_SAMPLE_S: Final = 0.5
_DEADLINE_S: Final = 300.0
_STACK: Final = """
import asyncio, sys
from pathlib import Path
from local.stack import Stack, StackOptions

async def main():
    async with Stack(StackOptions(Path(sys.argv[1]), 1)) as stack:
        print("ready", stack.storage_connection_string, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Job:
    """The cost of one clip."""

    frames_per_second: float
    """From the beginning of its upload until its record says that it is done."""
    cpu_ms_per_frame: float
    """CPU time of all processes of the stack."""


@dataclass(slots=True)
class Side:
    """One of the two checkouts, and its jobs by size."""

    name: str
    jobs: dict[tuple[int, int], list[Job]] = field(default_factory=dict)
    peaks_mib: dict[tuple[int, int], float] = field(default_factory=dict)
    """Peak resident memory of the largest process when all jobs of a size were done."""

    def median(self, size: tuple[int, int], figure: str) -> float:
        """Return the median of a field of `Job` over the rounds."""
        return float(statistics.median(getattr(job, figure) for job in self.jobs[size]))


class RunningStack:
    """A checkout's running stack in ``directory``."""

    def __init__(self, process: Supervised, directory: Path, account: BlobServiceClient) -> None:
        self._process = process
        self._directory = directory
        self._account = account
        self._peaks_mib: dict[int, float] = {}

    async def paint(self, clip: Path, name: str) -> Job:
        """Upload a clip under a new name, and wait for the end of its job.

        Raises:
            StylestreamError: the job failed, or took too long.
        """
        busy_s, began = self._cpu_s(), time.time()
        with clip.open("rb") as data:
            await self._account.get_blob_client("uploads", name).upload_blob(data)
        try:
            async with asyncio.timeout(_DEADLINE_S), self._sampling():
                await self._announced(name)
        except TimeoutError as error:
            raise StylestreamError(f"{name} was not painted within {_DEADLINE_S:g} s") from error
        cpu_s = self._cpu_s() - busy_s
        record = await self._record(name)
        if record["state"] != "done":
            raise StylestreamError(f"{name} is {record['state']}: {record['error']}")
        lasted_s = datetime.fromisoformat(record["updated_at"]).timestamp() - began
        return Job(record["frames"] / lasted_s, 1000 * cpu_s / record["frames"])

    @property
    def largest_mib(self) -> float:
        """The peak resident memory of the largest process so far."""
        return max(self._peaks_mib.values())

    async def _announced(self, name: str) -> None:
        announcements = self._directory / "announcements.jsonl"
        while True:
            if announcements.exists() and name in announcements.read_text(encoding="utf-8"):
                return
            await asyncio.sleep(_LOOK_S)

    async def _record(self, name: str) -> dict[str, Any]:
        jobs = self._account.get_container_client("jobs")
        async for blob in jobs.list_blob_names():
            if blob.endswith("/status.json"):
                record: dict[str, Any] = json.loads(
                    await (await jobs.download_blob(blob)).readall()
                )
                if record["video_name"] == name:
                    return record
        raise StylestreamError(f"there is no record of {name}")

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def _cpu_s(self) -> float:
        usage = self._process.usage()
        return usage.cpu_s if usage else 0.0

    @asynccontextmanager
    async def _sampling(self) -> AsyncIterator[None]:
        """Record the memory of the processes, because their peaks are lost when they end."""

        async def sample() -> None:
            while True:
                for process in self._processes():
                    self._peaks_mib[process.pid] = peak_mib(process.pid)
                await asyncio.sleep(_SAMPLE_S)

        sampling = asyncio.create_task(sample())
        try:
            yield
        finally:
            sampling.cancel()


@asynccontextmanager
async def running(checkout: Path, folder: Path) -> AsyncIterator[RunningStack]:
    """Run a stack of a checkout that is set up, in a folder of its own.

    Raises:
        StylestreamError: it does not get ready; the message quotes its log.
    """
    directory = folder / "stack"
    command = Command(
        "stack",
        (str(checkout / ".venv/bin/python"), "-P", "-c", _STACK, str(directory)),
        inherited(folder) | {"PYTHONPATH": str(checkout)},
        folder / "log",
        ready := LineReady("ready "),
        grace_s=20.0,
    )
    process = Supervised(command)
    await process.start()
    try:
        connection = ready.find(process.output) or ""
        async with BlobServiceClient.from_connection_string(connection) as account:
            yield RunningStack(process, directory, account)
    finally:
        await process.stop()


async def compare(
    checkouts: Sequence[tuple[str, Path]],
    rounds: int,
    cases: Sequence[tuple[tuple[int, int], int]],
) -> list[Side]:
    """Paint the clips of each case alternately on stacks of all checkouts, after a warm-up clip.

    ``checkouts`` are names and folders; the sizes of ``cases`` must increase, because memory is
    measured as a peak.

    Raises:
        StylestreamError: a stack does not start, or a job fails.
    """
    sides = [Side(name) for name, _ in checkouts]
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        async with AsyncExitStack() as stacks:
            pairs: list[tuple[Side, RunningStack]] = []
            for side, (_, checkout) in zip(sides, checkouts, strict=True):
                own = Path(folder) / str(len(pairs))
                own.mkdir()
                pairs.append((side, await stacks.enter_async_context(running(checkout, own))))
            for size, frames in cases:
                clip, short = Path(folder) / "clip.mp4", Path(folder) / "short.mp4"
                await asyncio.to_thread(write_clip, clip, frames, *size)
                await asyncio.to_thread(write_clip, short, 16, *size)
                name = f"{size[0]}x{size[1]}"
                for _, stack in pairs:
                    await stack.paint(short, f"{name}-warm.mp4")
                for number in range(rounds):
                    # Which one begins alternates as well.
                    for side, stack in pairs if number % 2 else reversed(pairs):
                        job = await stack.paint(clip, f"{name}-{number}.mp4")
                        side.jobs.setdefault(size, []).append(job)
                        print(
                            f"{name} {side.name}: {job.frames_per_second:.1f} frames/s", flush=True
                        )
                for side, stack in pairs:
                    side.peaks_mib[size] = stack.largest_mib
    return sides


def table(before: Side, after: Side) -> str:
    """Return the medians of both sides and their ratios as Markdown."""
    rows = []
    for size in before.jobs:
        speeds = [side.median(size, "frames_per_second") for side in (before, after)]
        costs = [side.median(size, "cpu_ms_per_frame") for side in (before, after)]
        peaks = [side.peaks_mib[size] for side in (before, after)]
        rows.append(
            f"| {size[0]}x{size[1]} | {speeds[0]:.1f} | {speeds[1]:.1f} "
            f"| **{speeds[1] / speeds[0]:.2f}** | {costs[0]:.1f} | {costs[1]:.1f} "
            f"| {costs[1] / costs[0]:.2f} | {peaks[0]:.0f} | {peaks[1]:.0f} |"
        )
    rounds = max(len(jobs) for jobs in before.jobs.values())
    return "\n".join(
        [
            f"{describe_machine()}; {datetime.now(UTC).date().isoformat()}; {before.name} and "
            f"{after.name} in turns, medians of {rounds}:",
            "",
            "| size | frames/s before | after | ratio | CPU ms a frame before | after | ratio "
            "| largest process before, MiB | after |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def main() -> None:
    """Compare the checkout named on the command line with this one."""
    parser = argparse.ArgumentParser(prog="scripts/compare", description=__doc__)
    parser.add_argument("checkout", type=Path, help="another checkout, set up by its scripts/setup")
    parser.add_argument("--name", default="before", help="of the other checkout")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames")
    parser.add_argument("--markdown", type=Path, help="also write the table into this file")
    arguments = parser.parse_args()
    cases = [(size, max(8, frames // 10) if arguments.quick else frames) for size, frames in CASES]
    checkouts = ((arguments.name, arguments.checkout.resolve()), ("this checkout", _HERE))
    try:
        before, after = asyncio.run(compare(checkouts, arguments.rounds, cases))
    except StylestreamError as error:
        sys.exit(f"compare: {error}")
    print(f"\n{table(before, after)}")
    if arguments.markdown:
        command = f"scripts/compare {arguments.name} --markdown {arguments.markdown}"
        markdown.put(arguments.markdown, "compare", command, table(before, after))


if __name__ == "__main__":
    main()
