"""The studio as people use it: its page in a real Chromium, before a whole stack."""

from __future__ import annotations

import asyncio
import base64
import filecmp
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Response, Route, async_playwright, expect
from studio_bench import TOKEN, opened
from studio_page import (
    ASKED,
    CONTRAST,
    FLAGS,
    HEARD,
    HOSTILE,
    PATIENCE_MS,
    PLAYS,
    SAME_PICTURE,
    WIDTH,
    change_style_over_time,
    choose,
    chromium,
    look,
    open_all_settings,
    sound_of,
    sounds_differ_by,
    when,
)
from videos import Sound, Video

from client import Account, open_pipeline
from local.stack import Stack, StackOptions
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import open_gallery

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAMES = 240


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("studio")
    environment = {"CHUNK_FRAMES": "16"}
    options = StackOptions(folder / "stack", environment=environment, studio=True, disposable=True)
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
    path.write_bytes(Video(frames=FRAMES, size=(160, 96), sounds=[Sound(duration_s=10)]).make())
    return path


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
    await page.evaluate("(at) => document.getElementById('after-video').currentTime = at", 7)
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
    assert filecmp.cmp(await download.path(), stored, shallow=False)


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


async def test_an_upload_goes_on_after_its_page_was_closed_and_by_the_other_way(page, tmp_path):
    two_blocks = tmp_path / "blocks.mp4"
    two_blocks.write_bytes(b"this is a text " * 300_000)
    kept, sent = asyncio.Event(), []

    def answered(answer: Response) -> None:
        if answer.request.method == "PUT" and answer.ok:
            sent.append(answer.url)
            kept.set()

    async def to_storage(route: Route) -> None:
        # From the second visit on the browser does not reach storage, as without CORS.
        if reopened:
            await route.abort()
        # The second block (00001 in Base64) is on its way until the page is closed.
        elif "MDAwMDE" not in route.request.url:
            await route.continue_()

    reopened = False
    page.on("response", answered)
    await page.route("**/*comp=block*", to_storage)
    await choose(page, two_blocks)
    await page.get_by_role("button", name="Paint", exact=True).click()
    async with asyncio.timeout(60):
        await kept.wait()

    reopened = True
    await page.reload()
    await choose(page, two_blocks)
    await page.get_by_role("button", name="Paint", exact=True).click()
    job = page.locator(".job.failed", has_text="blocks.mp4")
    await expect(job).to_contain_text("Failed", timeout=PATIENCE_MS)
    first, second = sent
    assert "comp=block" in first
    assert second.endswith("/1")
    assert second.startswith(page.url)


async def test_every_control_says_how_each_of_several_files_is_painted(page, tmp_path):
    files = [tmp_path / name for name in ("one.mp4", "two.mp4", "lost.mp4")]
    for file in files:
        file.write_bytes(b"this is a text")
    await choose(page, *files)
    await page.get_by_text("Mix several").click()
    await page.locator(".card", has_text="Udnie").click()
    await (
        page.get_by_label("The Starry Night", exact=True)
        .and_(page.get_by_role("slider"))
        .fill("75")
    )
    await page.get_by_label("Udnie", exact=True).and_(page.get_by_role("slider")).fill("25")
    await change_style_over_time(page)
    await page.get_by_label("Strength").fill("70")
    await page.get_by_text("Keep the video's colours").click()
    await page.get_by_label("Brush").select_option("broad")
    await page.locator("#output summary").click()
    await page.get_by_label("Length").select_option("the first 5 seconds")
    await page.get_by_label("Size").select_option("at most 1280")
    await page.get_by_label("Quality").select_option("high")
    files[2].unlink()
    await page.get_by_role("button", name="Paint 3 videos").click()

    lost = page.locator(".job.failed", has_text="lost.mp4")
    await expect(lost).to_contain_text("The file cannot be read any more.", timeout=PATIENCE_MS)
    await lost.get_by_role("button", name="Dismiss").click()
    await expect(lost).to_have_count(0)
    for name in ("one.mp4", "two.mp4"):
        job = page.locator(".job.failed", has_text=name)
        await expect(job).to_contain_text("The Starry Night 75 %, Udnie 25 %", timeout=PATIENCE_MS)
    jobs = await page.evaluate("async () => (await (await fetch('/api/jobs?limit=2')).json()).jobs")
    assert {job["video"] for job in jobs} == {"one.mp4", "two.mp4"}
    for job in jobs:
        assert {name: job[name] for name in ASKED} == ASKED


async def test_codecs_play_where_the_browser_can_and_else_it_says_so(page, tmp_path):
    short = tmp_path / "short.mp4"
    short.write_bytes(Video(frames=48, size=(160, 96)).make())
    await choose(page, short)
    await page.locator("#output summary").click()
    await page.select_option("#quality", "80")
    for codec, name in (("av1", "AV1"), ("hevc", "HEVC")):
        plays = await page.evaluate(PLAYS, codec)
        await page.select_option("#codec", codec)
        note = page.locator("#codec-note")
        await (expect(note).to_be_hidden() if plays else expect(note).to_contain_text(name))
        await page.get_by_role("button", name="Paint", exact=True).click()
        job = page.locator(".job.shown", has_text=f"The Starry Night · {name}")
        await expect(job).to_be_visible(timeout=PATIENCE_MS)
        if plays:
            played = await when(page, lambda seen: seen["time"] > 0.2)
            assert played["error"] is None
        else:
            await expect(job.get_by_role("link", name="Download")).to_be_visible(
                timeout=PATIENCE_MS
            )
            await expect(page.locator("#hint span")).to_have_text(
                f"This browser cannot play {name}: download the result."
            )
            await expect(page.locator("#after-still")).to_be_visible()
            assert await page.evaluate(WIDTH) > 0
    found = await page.evaluate(
        "async () => (await (await fetch('/api/jobs?limit=2')).json()).jobs"
    )
    assert {(job["codec"], job["quality"]) for job in found} == {("av1", 80), ("hevc", 80)}


async def test_painting_that_is_slower_than_the_video_says_when_to_start(page, stack):
    async with opened(stack.storage_connection_string) as studio:
        video = Video(frames=240, size=(64, 48)).make()
        await studio.blobs.create(studio.names["uploads"], "slow.mp4", video)
        job = (await studio.job(video_name="slow.mp4", frames=240, frames_stylized=24)).job_id
        for number in range(6):
            await studio.segment(job, number)
        await page.goto(f"{studio.url}/?token={TOKEN}")
        await page.get_by_role("button", name="Watch slow.mp4").click()
        hint = page.locator("#hint")
        painted = 6
        async with asyncio.timeout(60):
            while "Plays smoothly in" not in await hint.inner_text():
                # 4 frames of 30 a second, again and again, but never what playing begins with.
                if painted < 11:
                    await studio.segment(job, painted)
                    painted += 1
                await asyncio.sleep(1)
        await expect(hint).to_contain_text("Painting at")
        assert (await look(page))["paused"]

        await hint.get_by_role("button", name="Play now").click()
        for number in range(painted, 20):
            await studio.segment(job, number)
        await when(page, lambda seen: seen["time"] > 0.2)


async def test_a_restart_in_mid_play_is_only_a_pause(page, stack, tmp_path):
    gone = tmp_path / "gone.mp4"
    gone.write_bytes(b"this is a text")
    account = Account(stack.storage_connection_string)
    async with open_pipeline(account) as pipeline:
        ended = (await pipeline.submit(gone, StyleRequest(style="udnie"))).job_id
    other = page.locator(".job.failed", has_text="gone.mp4")
    await expect(other).to_be_visible(timeout=PATIENCE_MS)
    long = tmp_path / "long.mp4"
    long.write_bytes(Video(frames=600, size=(160, 96)).make())
    await choose(page, long)
    await page.get_by_role("button", name="Paint", exact=True).click()
    await when(page, lambda seen: seen["time"] > 0.3)
    studio = next(process for process in stack.processes if process.name == "web")
    os.kill(studio.pid, 9)
    buffered = (await look(page))["buffered"][0][1]
    # What is deleted elsewhere while the page hears nothing is gone from it afterwards.
    async with open_pipeline(account) as pipeline:
        await pipeline.delete(ended)
    recovered = await when(page, lambda seen: seen["buffered"][0][1] > buffered + 1)
    assert recovered["error"] is None
    assert studio.restarts == 1
    await expect(other).to_have_count(0, timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read_reached_and_named(page, stack, scheme):
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await open_all_settings(page)
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


async def test_the_keyboard_is_enough(page, tmp_path):
    long = tmp_path / "long.mp4"
    long.write_bytes(Video(frames=300, size=(480, 272)).make())
    await choose(page, long)
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
    state = page.locator(".job.shown .job-state")
    await expect(state).to_contain_text(re.compile("Reading|Painting"), timeout=PATIENCE_MS)
    await page.locator(".job.shown").get_by_role("button", name="Cancel", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(state).to_contain_text("Cancelled", timeout=PATIENCE_MS)
