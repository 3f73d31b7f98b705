"""Scripts that tests run in the studio's page, and a comparison of sounds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
from playwright.async_api import Page, expect

HOSTILE = '"><img src=x onerror=globalThis.hacked=1>.mp4'

LOOK = """() => {
  const video = document.getElementById("after-video");
  const original = document.getElementById("before-video");
  const spans = [...Array(video.buffered.length).keys()];
  return {
    time: video.currentTime || 0, paused: video.paused, ended: video.ended, ready: video.readyState,
    buffered: spans.map((i) => [video.buffered.start(i), video.buffered.end(i)]),
    source: video.currentSrc, error: video.error?.message ?? null,
    muted: video.muted, original_muted: original.muted, heard: original.webkitAudioDecodedByteCount,
    original_time: original.currentTime || 0, apart: original.currentTime - video.currentTime,
    shown: video.getVideoPlaybackQuality().totalVideoFrames,
    galleries: performance.getEntriesByName("gallery painted").length,
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
  const shown = document.getElementById("after-video");
  let [live, done] = [await seek(shown), await seek(result)];
  const original = await seek(source);
  const differ = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  // A browser that is busy may draw the frame of before for a moment after it has sought.
  const until = performance.now() + 60_000;
  while (differ(live, done) > 0 && performance.now() < until) {
    await new Promise(requestAnimationFrame);
    [live, done] = [pixels(shown), pixels(result)];
  }
  return { result: differ(live, done), original: differ(live, original), size: live.length };
}"""

WITHOUT_MEDIA_SOURCE = "() => { delete window.MediaSource; delete window.ManagedMediaSource; }"

PLAYS = """async (codec) => (await import("/static/words.js")).plays(codec)"""

WIDTH = """async () => {
  const still = document.getElementById("after-still");
  await still.decode();
  return still.naturalWidth;
}"""

PLAY_FROM = """async (at) => {
  const video = document.getElementById("after-video");
  video.currentTime = at;
  await video.play();
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

CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (one.classList.contains("go")) continue;
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

# What is said over the picture, and is not wholly inside of it.
CUT_OFF = """() => {
  const frame = document.getElementById("frame").getBoundingClientRect();
  return [...document.querySelectorAll(".frame .hint, .frame .corner")]
    .filter((one) => one.checkVisibility())
    .filter((one) => {
      const box = one.getBoundingClientRect();
      return box.top < frame.top || box.bottom > frame.bottom
        || box.left < frame.left || box.right > frame.right;
    })
    .map((one) => one.textContent);
}"""


def sound_of(path: Path) -> np.ndarray:
    """The samples of a file's first sound, its first channel."""
    with av.open(path) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


def sounds_differ_by(heard: np.ndarray, original: np.ndarray) -> float:
    """The largest difference of two sounds; decoders may keep or drop the encoder's run-in."""
    run_in = 2112
    middle = original[run_in : run_in + 10 * 48000 - 3 * run_in]
    starts = {run_in + shift for shift in (-run_in, -2048, -1024, 0, 1024, 2048, run_in)}
    return min(float(np.abs(heard[at:][: len(middle)] - middle).max()) for at in starts)


async def look(page: Page) -> dict:
    return await page.evaluate(LOOK)


async def when(page: Page, wanted, seconds: float = 60) -> dict:
    """Look at the page until what is seen is wanted; the page's policy forbids its own polling."""
    seen: dict = {}
    try:
        async with asyncio.timeout(seconds):
            while not wanted(seen := await look(page)):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"the page stayed at {seen}") from None
    return seen


async def in_step(page: Page, length_s: float, late_s: float = 0) -> dict:
    """Wait until the original is heard, and is where the picture is that it is heard beside.

    ``late_s`` is by how much later the original's picture begins than the one that is shown.
    """
    async with asyncio.timeout(60):
        while not ((seen := await look(page))["heard"] > 0 and abs(seen["apart"] - late_s) < 0.1):
            # What stands still at its end gets no nearer to anything.
            if seen["time"] > length_s - 1:
                await page.evaluate(PLAY_FROM, 0)
            await asyncio.sleep(0.2)
    return seen


async def newest_jobs(page: Page, count: int) -> list[dict]:
    return await page.evaluate(
        "async (count) => (await (await fetch(`/api/jobs?limit=${count}`)).json()).jobs", count
    )


async def choose(page: Page, *files: Path) -> None:
    await page.set_input_files("#files", list(files))


async def change_style_over_time(page: Page) -> None:
    """Let The Great Wave begin at 1:05, with a fade of 2 s, by way of what is refused."""
    await page.locator("#over-time summary").click()
    add = page.get_by_role("button", name="Add a change")
    await add.click()
    # The new row has the focus, and the gallery sets its style alone.
    await page.keyboard.type("soon")
    await page.keyboard.press("Enter")
    refused = page.locator("#over-time").get_by_role("alert")
    await expect(refused).to_contain_text("must be seconds or")
    await expect(page.get_by_label("When")).to_have_attribute("aria-invalid", "true")
    await page.get_by_text("Mix several").click()
    wave = "The Great Wave off Kanagawa"
    await page.locator(".card", has_text=wave).click()
    await page.get_by_label(f"When {wave} begins").fill("1:05")
    await page.keyboard.press("Enter")
    await expect(refused).to_be_hidden()
    await expect(page.locator("#style-title")).to_have_text("Style from 1:05 on")
    await add.click()
    await expect(page.get_by_label(f"Remove {wave} from 1:15")).to_be_visible()
    await page.get_by_label(f"Remove {wave} from 1:15").press("Enter")
    await expect(page.get_by_label(f"{wave} from 1:05", exact=True)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("#mix")).to_be_checked()
    await expect(page.get_by_label("The Starry Night", exact=True)).to_have_count(2)
    await page.get_by_label("Fade").select_option("2 seconds")


async def open_all_settings(page: Page) -> None:
    for settings in await page.locator("details summary").all():
        await settings.click()
    await page.get_by_role("button", name="Add a change").click()
