"""The page's two players: Media Source, and the browser's own HTTP Live Streaming.

iPhones before iOS 17.1 have the second alone. Here it is Chromium's, and WebKit's where that is
installed: neither is Safari, and both show that the page begins to play, with sound, and changes
over to the result.
"""

from __future__ import annotations

import secrets

import pytest
from browsers import open_page
from histories import SOURCE
from playwright.async_api import Page, expect
from studio_bench import TOKEN, Opened, only_upload
from studio_page import WITHOUT_MEDIA_SOURCE, in_step, look, when
from videos import Sound, Video
from webkit import WebKitPage, webkit_page

from shared.contracts.layout import chunk_blob, job_id
from shared.contracts.manifest import Track
from shared.contracts.style_request_text import parse_style_request

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAMES = 16
SEGMENTS = 8
SECONDS = SEGMENTS * FRAMES * 1001 / 30000


DROP_WHAT_IS_AHEAD = """async () => {
  const video = document.getElementById("after-video");
  const { buffer } = globalThis;
  buffer.remove(video.currentTime + 0.5, Infinity);
  await new Promise((done) => buffer.addEventListener("updateend", done, { once: true }));
}"""
PAINTED = """() => {
  const { style } = document.getElementById("spans").firstElementChild;
  const [from, length] = [style.left, style.width].map((share) => parseFloat(share) / 100);
  const seek = document.getElementById("seek");
  return [[from, from + length], seek.value / seek.max];
}"""
KEEP_THE_BUFFER = """() => {
  const { addSourceBuffer } = MediaSource.prototype;
  MediaSource.prototype.addSourceBuffer = function (type) {
    return (globalThis.buffer = addSourceBuffer.call(this, type));
  };
}"""


@pytest.mark.slow
async def test_fragments_that_a_browser_drops_ahead_of_the_picture_are_fetched_again(
    studio, browser
):
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        await page.evaluate(KEEP_THE_BUFFER)
        job = secrets.token_hex(12)
        for number in range(SEGMENTS):
            await studio.segment(job, number, FRAMES)
        await studio.job(job_id=job, video_name="beach.mp4", frames=SEGMENTS * FRAMES)
        await page.click(".thumb")
        await when(page, lambda seen: seen["time"] > 0.1)
        await when(page, lambda seen: seen["buffered"][0][1] > SECONDS - 0.1)
        await page.evaluate(DROP_WHAT_IS_AHEAD)
        await when(page, lambda seen: seen["time"] > SECONDS - 0.3)


async def test_a_video_whose_picture_begins_late_plays_while_it_is_painted(studio, browser):
    late_s = 3600
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        job = secrets.token_hex(12)
        for number in range(SEGMENTS):
            await studio.segment(job, number, FRAMES, late=late_s * 30000)
        await studio.job(job_id=job, video_name="beach.mp4", frames=SEGMENTS * FRAMES)
        await page.click(".thumb")
        await when(page, lambda seen: seen["time"] > late_s + 0.5)
        (begin, end), at = await page.evaluate(PAINTED)
        assert begin == pytest.approx(late_s / (late_s + SECONDS), abs=1e-6)
        assert begin < at <= end


async def test_a_damaged_segment_is_not_asked_for_with_every_event_of_its_job(studio, browser):
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        job = secrets.token_hex(12)
        for number in range(SEGMENTS):
            await studio.segment(job, number, FRAMES)
        container, name = studio.names["segments"], chunk_blob(job, 2)
        stored = await studio.blobs.fetch(container, name)
        damaged = stored.data[:-9] + b"disturbed"
        await studio.blobs.replace(container, name, damaged, metadata=stored.metadata)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        record = {"job_id": job, "video_name": "beach.mp4", "frames": SEGMENTS * FRAMES}
        await studio.job(**record)
        await page.click(".thumb")
        for painted in range(1, 4):
            await studio.job(**record, frames_stylized=painted)
            shown = page.locator(".job", has_text=f"{100 * painted // (SEGMENTS * FRAMES)}\u00a0%")
            await expect(shown).to_be_visible()
            await expect(page.locator("#hint")).to_contain_text("is gone")
        assert sum(url.endswith("/live/2.m4s") for url in asked) == 1


async def test_chromium_plays_it_as_it_grows_and_then_the_result(studio, browser):
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        job = await begin(page, studio, painted=SEGMENTS // 2)
        await when(page, lambda seen: seen["ended"])
        for number in range(SEGMENTS // 2, SEGMENTS):
            await studio.segment(job, number, FRAMES)
        await when(page, lambda seen: seen["time"] > SECONDS / 2 + 0.1)
        await end(page, studio, job)
        await when(page, lambda seen: seen["time"] > SECONDS - 0.1)


async def test_sound_comes_with_the_result_where_the_browser_cannot_play_the_original(
    studio, browser
):
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        await studio.blobs.create(studio.names["uploads"], "beach.mxf", b"of a camera")
        job = secrets.token_hex(12)
        for number in range(SEGMENTS):
            await studio.segment(job, number, FRAMES)
        sound = Track(kind="audio", codec="pcm_s16le")
        source = SOURCE.model_copy(update={"width": 64, "height": 48, "tracks": (sound,)})
        record = {"job_id": job, "video_name": "beach.mxf", "source": source}
        await studio.job(**record)
        await page.click(".thumb")
        await when(page, lambda seen: seen["time"] > 0.2)
        await page.click("#mute")
        video = Video(frames=SEGMENTS * FRAMES, size=(64, 48), sounds=[Sound(duration_s=5)]).make()
        await studio.result(job, "beach.painted.mp4", video)
        await studio.job(**record, state="done", result="beach.painted.mp4")
        over = await when(page, lambda seen: seen["source"].endswith("/result"), 20)
        assert not over["muted"]
        await when(page, lambda seen: seen["time"] > SECONDS - 0.1)


@pytest.mark.slow
async def test_a_playlist_counts_from_a_picture_that_begins_late_and_its_original_does_not(
    studio, browser
):
    late_s, step = 3, 1001
    pts = [late_s * 30000 + number * step for number in range(SEGMENTS * FRAMES)]
    video = Video(size=(64, 48), pts=pts, sounds=[Sound(duration_s=8)]).make()
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        job = await begin(page, studio, SEGMENTS, video, late=late_s * 30000)
        await in_step(page, SECONDS, late_s)
        (begins, ends), at = await page.evaluate(PAINTED)
        assert begins == 0
        assert at <= ends <= 1
        await end(page, studio, job, video)
        await in_step(page, late_s + SECONDS)


async def test_the_result_goes_on_where_the_painted_part_has_ended(studio, browser):
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as page:
        job = await begin(page, studio, painted=SEGMENTS // 2)
        await when(page, lambda seen: seen["ended"])
        await end(page, studio, job)
        await when(page, lambda seen: seen["time"] > SECONDS - 0.1)


async def test_webkit_plays_it_before_its_end_and_then_the_result(studio, tmp_path):
    async with webkit_page(tmp_path) as page:
        await page.goto(f"{studio.url}/?token={TOKEN}")
        # GStreamer does not go on where a playlist ended before it was complete, as Safari does.
        job = await begin(page, studio, painted=SEGMENTS)
        await end(page, studio, job)


async def test_webkit_uploads_previews_plays_by_media_source_and_cancels(studio, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(Video(frames=48, size=(64, 48)).make())
    async with webkit_page(tmp_path) as page:
        await page.goto(f"{studio.url}/?token={TOKEN}")
        await when(page, lambda seen: seen["galleries"] == 1)
        await page.set_input_files("#files", clip)
        # With the video's own frame the page has its shape, and nothing moves away from a click.
        await when(page, lambda seen: seen["galleries"] == 2)
        await page.click("#paint")
        await when(page, lambda seen: "Waiting for the painter" in seen["state"])
        name = await only_upload(studio)
        facts = await studio.blobs.facts(studio.names["uploads"], name)
        style = parse_style_request(facts.metadata, "starry-night")
        job = job_id(studio.names["uploads"], name, facts.etag, style)
        for number in range(SEGMENTS):
            await studio.segment(job, number, FRAMES)
        # The page watches what it has sent by itself.
        await studio.job(job_id=job, video_name=name, style=style, frames=SEGMENTS * FRAMES)
        playing = await when(page, lambda seen: seen["time"] > 0.2)
        assert playing["source"].startswith("blob:")
        assert len(playing["buffered"]) == 1
        await page.click(".job .actions button")
        await when(page, lambda seen: "Cancelled" in seen["state"])


def film() -> bytes:
    return Video(frames=SEGMENTS * FRAMES, size=(64, 48), sounds=[Sound(duration_s=5)]).make()


async def begin(
    page: Page | WebKitPage,
    studio: Opened,
    painted: int,
    video: bytes | None = None,
    *,
    late: int = 0,
) -> str:
    """Watch a job of which some segments are painted, with sound; return its id."""
    await page.evaluate(WITHOUT_MEDIA_SOURCE)
    video = video or film()
    await studio.blobs.create(studio.names["uploads"], "beach.mp4", video)
    job = secrets.token_hex(12)
    # They are there when the page hears of the job: it does not wait for what is painted slowly.
    for number in range(painted):
        await studio.segment(job, number, FRAMES, late=late)
    await studio.job(job_id=job, video_name="beach.mp4", frames=SEGMENTS * FRAMES)
    await page.click(".thumb")
    playing = await when(page, lambda seen: seen["time"] > 0.2)
    assert playing["source"].endswith("/live.m3u8")
    await page.click("#mute")
    heard = await when(page, lambda seen: seen["original_time"] > 0)
    # The painted picture is silent, and the upload is heard beside it.
    assert (heard["muted"], heard["original_muted"]) == (True, False)
    return job


async def end(
    page: Page | WebKitPage, studio: Opened, job: str, video: bytes | None = None
) -> None:
    """Let the job be done, and see the result take the place of the playlist."""
    assert (await look(page))["source"].endswith("/live.m3u8")
    await studio.result(job, "beach.painted.mp4", video or film())
    await studio.job(job_id=job, video_name="beach.mp4", state="done", result="beach.painted.mp4")
    over = await when(page, lambda seen: seen["source"].endswith("/result") and seen["time"] > 0)
    assert (over["error"], over["muted"]) == (None, False)
