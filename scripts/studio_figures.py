"""Measures the studio on this machine, with a stack of its own, for docs/studio.md.

    .venv/bin/python scripts/studio_figures.py [VIDEO]

It measures the time from choosing a file to all painted thumbnails, the time from the end of an
upload to the first painted picture on the page, and the CPU time of 50 viewers of one job. Needs
Chromium, what ``scripts/setup --test`` installs, and an otherwise idle machine.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import av
from playwright.async_api import Page, async_playwright
from studio_pictures import BROWSERS, FLAGS, ROOT, SAMPLE, until

VIEWERS: Final = 50
RUNS: Final = 3
_MARKS: Final = "(name) => performance.getEntriesByName(name).map((mark) => mark.startTime)"
_STRENGTH: Final = "(percent) => void (document.getElementById('strength').value = percent)"
_GALLERIES: Final = "() => performance.getEntriesByName('gallery painted').length"
_DONE: Final = "() => document.querySelector('.job-state')?.innerText.includes('Done') ? 1 : 0"
_PAINTED: Final = """() => {
  const wait = document.getElementById("play-anyway");
  if (wait.checkVisibility()) wait.click();
  const video = document.getElementById("after-video");
  const painted = video.currentSrc.startsWith("blob:") && video.readyState >= 2;
  if (painted && !performance.getEntriesByName("painted").length) performance.mark("painted");
  return painted ? 1 : 0;
}"""


@dataclass(frozen=True, slots=True)
class Studio:
    """A running studio: its address, its token, and the address of its metrics."""

    address: str
    figures: str

    def session(self) -> aiohttp.ClientSession:
        """Return a session of a program that has the token."""
        where = urlsplit(self.address)
        token = parse_qs(where.query)["token"][0]
        return aiohttp.ClientSession(
            f"http://{where.netloc}", headers={"Authorization": f"Bearer {token}"}
        )

    async def cpu_s(self) -> float:
        """Return the CPU time that the studio has used so far."""
        async with aiohttp.ClientSession() as session, session.get(self.figures) as answer:
            lines = (await answer.text()).splitlines()
        (line,) = (line for line in lines if line.startswith("process_cpu_seconds_total "))
        return float(line.split()[1])


async def main(video: Path) -> None:
    """Measure, and print a line for each figure."""
    sys.path.insert(0, str(ROOT))
    from local.stack import Stack, StackOptions

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        print(f"{video.name}: {stream.width}x{stream.height}, {stream.frames} frames")
    with tempfile.TemporaryDirectory() as folder:
        options = StackOptions(Path(folder), studio=True, disposable=True)
        async with Stack(options) as stack, async_playwright() as playwright:
            studio = Studio(stack.studio_address, f"{stack.endpoints['web']}/metrics")
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            for run in range(1, RUNS + 1):
                page = await (await browser.new_context()).new_page()
                await page.goto(studio.address)
                await page.wait_for_load_state()
                await measure_page(page, video, run)
                await page.context.close()
            await browser.close()
            await measure_viewers(studio, video, 1)
            await measure_viewers(studio, video, VIEWERS)


async def measure_page(page: Page, video: Path, run: int) -> None:
    """Choose, upload and watch a video like a person."""
    # By then the page has painted its example, so that all networks are loaded.
    await until(page, _GALLERIES, 1)
    # Another strength in each run, because painted previews are cached.
    await page.evaluate(_STRENGTH, 100 - 5 * run)
    await page.set_input_files("#files", video)
    await until(page, _GALLERIES, 2)
    chosen, shown = await mark(page, "files chosen"), await mark(page, "gallery painted")
    print(f"run {run}: file chosen to all painted thumbnails: {(shown - chosen) / 1000:.2f} s")
    await page.get_by_role("button", name="Paint", exact=True).click()
    await until(page, _PAINTED, 1)
    complete, painted = await mark(page, "upload complete"), await mark(page, "painted")
    print(f"run {run}: upload end to first painted picture: {(painted - complete) / 1000:.2f} s")
    # So that the next run does not wait for this job.
    await until(page, _DONE, 1)


async def mark(page: Page, name: str) -> float:
    """Return when the page last set a mark, in milliseconds."""
    times: list[float] = await page.evaluate(_MARKS, name)
    return times[-1]


async def measure_viewers(studio: Studio, video: Path, viewers: int) -> None:
    """Let viewers follow one job and fetch its segments, like pages, from its start to its end."""
    async with studio.session() as session:
        job = await upload(session, video)
        await known(session, job)
        before, begun = await studio.cpu_s(), time.monotonic()
        await asyncio.gather(*(watch(studio, job) for _ in range(viewers)))
        seconds, cpu_s = time.monotonic() - begun, await studio.cpu_s() - before
    print(
        f"{viewers} viewers of one job: {cpu_s:.2f} s of CPU in {seconds:.1f} s, "
        f"{cpu_s / seconds:.3f} cores"
    )


async def upload(session: aiohttp.ClientSession, video: Path) -> str:
    """Upload a video; return its job."""
    data = await asyncio.to_thread(video.read_bytes)
    new = {"name": video.name, "size": len(data), "style": "the-scream"}
    async with session.post("/api/uploads", json=new) as answer:
        opened = await answer.json()
    path, size = f"/api/uploads/{opened['upload']}", opened["block_bytes"]
    for number in range(opened["blocks"]):
        block = data[number * size : (number + 1) * size]
        async with session.put(f"{path}/{number}", data=block) as answer:
            answer.raise_for_status()
    async with session.post(f"{path}/complete") as answer:
        return str((await answer.json())["job"])


async def known(session: aiohttp.ClientSession, job: str) -> None:
    """Wait until a splitter has taken up the job."""
    while True:
        async with session.get(f"/api/jobs/{job}") as answer:
            if answer.status == HTTPStatus.OK:
                return
        await asyncio.sleep(0.1)


async def watch(studio: Studio, job: str) -> None:
    """Follow a job to its end, and fetch every fragment once."""
    fetched = 0
    async with studio.session() as session, session.get(f"/api/jobs/{job}/events") as events:
        async for line in events.content:
            if not line.startswith(b"data:"):
                continue
            live = await painted(session, job)
            for segment in live[fetched:]:
                path = f"/api/jobs/{job}/live/{segment['number']}.m4s"
                async with session.get(path) as answer:
                    await answer.read()
            fetched = max(fetched, len(live))


async def painted(session: aiohttp.ClientSession, job: str) -> list[dict[str, Any]]:
    """Return the segments that are painted without a gap."""
    async with session.get(f"/api/jobs/{job}/live") as answer:
        return (await answer.json())["segments"] if answer.status == HTTPStatus.OK else []


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else SAMPLE))
