"""The studio as people use it: its page in a real Chromium, before a whole stack."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect
from videos import Sound, Video

from client import Account, open_pipeline
from local.stack import Stack, StackOptions
from shared.styles.gallery import open_gallery

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
]
FRAMES = 240
PATIENCE_MS = 60_000
HOSTILE = '"><img src=x onerror=globalThis.hacked=1>.mp4'


def chromium() -> str | None:
    return next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("studio")
    environment = {"CHUNK_FRAMES": "16"}
    options = StackOptions(folder / "stack", environment=environment, studio=True)
    async with Stack(options) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = chromium()
    if program is None:
        assert not os.environ.get("CI"), "Chromium is missing: scripts/setup --test installs it"
        pytest.skip("Chromium is not installed, and without it nothing can look at the page")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(stack: Stack, browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    opened = await context.new_page()
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    await opened.goto(stack.studio_address)
    yield opened
    await context.close()
    assert troubles == []


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "beach.mp4"
    path.write_bytes(Video(frames=FRAMES, size=(160, 96), sounds=[Sound(duration_s=8)]).make())
    return path


LOOK = """() => {
  const video = document.getElementById("after-video");
  const original = document.getElementById("before-video");
  const spans = [...Array(video.buffered.length).keys()];
  return {
    time: video.currentTime, paused: video.paused, ended: video.ended, ready: video.readyState,
    buffered: spans.map((i) => [video.buffered.start(i), video.buffered.end(i)]),
    source: video.currentSrc, error: video.error?.message ?? null,
    muted: video.muted, original_muted: original.muted, heard: original.webkitAudioDecodedByteCount,
    apart: original.currentTime - video.currentTime,
    shown: video.getVideoPlaybackQuality().totalVideoFrames,
    state: document.querySelector(".job-state")?.innerText ?? "",
  };
}"""

SAME_PICTURE = """async ([job, at]) => {
  const happens = (element, event) => new Promise((done, fail) => {
    element.addEventListener(event, done, { once: true });
    element.addEventListener("error", () => fail(element.error), { once: true });
  });
  const pixels = (video) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  const seek = async (video) => {
    video.pause();
    const sought = happens(video, "seeked");
    video.currentTime = at;
    await sought;
    return pixels(video);
  };
  const result = document.createElement("video");
  result.src = `/api/jobs/${job}/result`;
  await happens(result, "loadeddata");
  const source = document.createElement("video");
  source.src = `/api/jobs/${job}/source`;
  await happens(source, "loadeddata");
  const [live, done, original] = [
    await seek(document.getElementById("after-video")), await seek(result), await seek(source),
  ];
  const differ = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  return { result: differ(live, done), original: differ(live, original), size: live.length };
}"""

# What the page plays beside the picture, decoded by the browser at the sound's own rate.
HEARD = """async (job) => {
  const source = await fetch(`/api/jobs/${job}/source`);
  const context = new OfflineAudioContext(1, 48000, 48000);
  const sound = await context.decodeAudioData(await source.arrayBuffer());
  const bytes = new Uint8Array(sound.getChannelData(0).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768)
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}"""


def sound_of(path: Path) -> np.ndarray:
    """The samples of a file's first sound, its first channel."""
    with av.open(path) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


def sounds_differ_by(heard: np.ndarray, original: np.ndarray) -> float:
    """The largest difference of two sounds; decoders may keep or drop the encoder's run-in."""
    run_in = 2112
    middle = original[run_in : run_in + 8 * 48000 - 3 * run_in]
    starts = {run_in + shift for shift in (-run_in, -2048, -1024, 0, 1024, 2048, run_in)}
    return min(float(np.abs(heard[at:][: len(middle)] - middle).max()) for at in starts)


async def look(page: Page) -> dict:
    return await page.evaluate(LOOK)


async def when(page: Page, wanted, seconds: float = 60) -> dict:
    """Look at the page until what is seen is wanted; the page's policy forbids its own polling."""
    async with asyncio.timeout(seconds):
        while not wanted(seen := await look(page)):
            await asyncio.sleep(0.05)
    return seen


async def choose(page: Page, *files: Path) -> None:
    await page.set_input_files("#files", list(files))


async def test_a_video_plays_while_it_is_being_painted_and_on_past_its_end(page, stack, clip):
    await choose(page, clip)
    styles = len(open_gallery(None, "starry-night").styles)
    await expect(page.locator(".card img.shown")).to_have_count(styles, timeout=PATIENCE_MS)
    await page.locator(".card", has_text="The Great Wave").click()
    puts: list[str] = []
    page.on("request", lambda request: request.method == "PUT" and puts.append(request.url))
    await page.get_by_role("button", name="Paint", exact=True).click()

    playing = await when(page, lambda seen: seen["time"] > 0.5)
    assert "Done" not in playing["state"]
    assert playing["source"].startswith("blob:")
    assert len(playing["buffered"]) == 1
    # Its one block went straight to storage.
    assert [url.partition("?")[0].rpartition("/")[2] for url in puts] == ["beach.mp4"]
    assert puts[0].startswith(stack.endpoints["storage"])

    await page.get_by_label("Sound is off").click()
    heard = await when(page, lambda seen: seen["heard"] > 0 and abs(seen["apart"]) < 0.1)
    assert heard["source"].startswith("blob:")
    assert (heard["muted"], heard["original_muted"]) == (True, False)

    await when(page, lambda seen: "Done" in seen["state"])
    over = await when(page, lambda seen: seen["ended"])
    # It went on in what it had, and did not begin anew in the result.
    assert over["source"] == playing["source"]
    assert over["error"] is None
    (span,) = over["buffered"]
    assert span[0] == 0
    assert span[1] == pytest.approx(FRAMES * 1001 / 30000, abs=0.001)

    async with open_pipeline(Account(stack.storage_connection_string)) as pipeline:
        (status,) = await pipeline.list()
        stored = await pipeline.fetch(status.job_id, clip.parent)
    same = await page.evaluate(SAME_PICTURE, [status.job_id, 2.02])
    assert same["size"] == 160 * 96 * 4
    assert same["result"] == 0
    assert same["original"] > 60
    heard = np.frombuffer(base64.b64decode(await page.evaluate(HEARD, status.job_id)), np.float32)
    assert np.abs(heard).max() > 0.05
    assert sounds_differ_by(heard, sound_of(clip)) < 0.001

    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download").click()
    download = await started.value
    assert download.suggested_filename == "beach.great-wave.mp4"
    assert digest(Path(await download.path())) == digest(stored)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_what_cannot_be_painted_says_why_and_its_name_runs_nothing(page, tmp_path):
    video = tmp_path / HOSTILE.replace("/", "")
    video.write_bytes(b"this is a text")
    await choose(page, video)
    await page.get_by_role("button", name="Paint", exact=True).click()
    job = page.locator(".job", has_text="onerror")
    await expect(job.locator(".job-state.bad")).to_contain_text("Failed", timeout=PATIENCE_MS)
    await expect(job.locator(".job-name")).to_contain_text("img src=x onerror")
    assert await page.locator("img[onerror], .job-name img").count() == 0
    assert await page.evaluate("() => globalThis.hacked ?? null") is None

    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await job.get_by_role("button", name="Delete").click()
    await expect(job).to_have_count(0, timeout=PATIENCE_MS)


async def test_a_restart_in_mid_play_is_only_a_pause(page, stack, tmp_path):
    long = tmp_path / "long.mp4"
    long.write_bytes(Video(frames=600, size=(160, 96)).make())
    await choose(page, long)
    await page.get_by_role("button", name="Paint", exact=True).click()
    await when(page, lambda seen: seen["time"] > 0.3)
    studio = next(process for process in stack.processes if process.name == "web")
    os.kill(studio.pid, 9)
    buffered = (await look(page))["buffered"][0][1]
    recovered = await when(page, lambda seen: seen["buffered"][0][1] > buffered + 1)
    assert recovered["error"] is None
    assert studio.restarts == 1


async def test_a_job_can_be_cancelled(page, tmp_path):
    long = tmp_path / "cancelled.mp4"
    long.write_bytes(Video(frames=300, size=(480, 272)).make())
    await choose(page, long)
    await page.get_by_role("button", name="Paint", exact=True).click()
    job = page.locator(".job", has_text="cancelled.mp4")
    state = job.locator(".job-state")
    await expect(state).to_contain_text(re.compile("Reading|Painting"), timeout=PATIENCE_MS)
    await job.get_by_role("button", name="Cancel", exact=True).click()
    await expect(state).to_contain_text("Cancelled", timeout=PATIENCE_MS)


CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (getComputedStyle(one).backgroundImage !== "none" && one.className === "go") continue;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.checkVisibility()) continue;
    if (element.closest(":disabled, .frame, noscript, .visually-hidden, .skip, option")) continue;
    const [one, other] = [parts(getComputedStyle(element).color), behind(element)].map(light);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read_reached_and_named(page, stack, scheme):
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for width in (375, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert await page.evaluate(CONTRAST) == []
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a")]
          .filter((one) => one.checkVisibility())
          .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []


async def test_the_keyboard_is_enough(page, clip):
    await choose(page, clip)
    chosen = page.locator(".card input:checked")
    first = await chosen.input_value()
    await chosen.focus()
    await page.keyboard.press("ArrowDown")
    assert await page.locator(".card input:checked").input_value() != first
    await expect(page.locator("#after-still")).to_be_visible(timeout=PATIENCE_MS)
    await page.locator("#compare").focus()
    await page.keyboard.press("Home")
    assert await page.locator("#compare").input_value() == "0"
    await page.locator("#paint").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".job").first).to_contain_text("beach.mp4", timeout=PATIENCE_MS)
    await expect(page.locator(".job").first.get_by_role("button", name="Cancel")).to_be_visible(
        timeout=PATIENCE_MS
    )
