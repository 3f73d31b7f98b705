"""What the page's stage shows: the example, what was chosen, or a job; in a real Chromium."""

from __future__ import annotations

import asyncio

import pytest
from PIL import Image
from playwright.async_api import Page, Route, expect
from studio_page import choose, when
from videos import Sound, Video

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_original_is_not_called_painted_and_sound_is_no_original(page, studio, tmp_path):
    seen, heard = tmp_path / "seen.mp4", tmp_path / "heard.mp4"
    seen.write_bytes(Video(frames=8, size=(96, 64)).make())
    heard.write_bytes(Video(frames=8, size=(96, 64), codec="mpeg4", sounds=[Sound()]).make())
    before, after = page.locator("#before-video"), page.locator("#label-after")
    for clip, width in ((seen, 96), (heard, 0)):
        await studio.blobs.replace(studio.names["uploads"], clip.name, clip.read_bytes())
        job = await studio.job(video_name=clip.name)
        await page.get_by_role("button", name=f"Watch {clip.name}").click()
        await expect(before).to_have_js_property("readyState", 4)
        await expect(before).to_have_js_property("videoWidth", width)
        await expect(after).to_be_hidden()
        await studio.segment(job.job_id, 0)
        await expect(page.locator("#transport")).to_be_visible()
        await (expect(after).to_be_visible() if width else expect(after).to_be_hidden())
        if width:
            await expect(page.locator("#clock")).to_contain_text("/ 0:00.27")


SHOWN = """() => {
  const canvas = document.getElementById("before-still");
  return [canvas.width, canvas.height];
}"""
EXAMPLE = [640, 360]
PAINTED = """() => performance.getEntriesByName("frame painted").length"""


async def shows(page: Page, size: list[int]) -> None:
    async with asyncio.timeout(60):
        while await page.evaluate(SHOWN) != size:
            await asyncio.sleep(0.1)


async def test_styles_are_shown_on_the_first_video_that_the_browser_can_show(page, tmp_path):
    clip, text, empty = (tmp_path / name for name in ("clip.mp4", "text.mp4", "empty.mp4"))
    clip.write_bytes(Video(frames=8, size=(96, 64)).make())
    text.write_bytes(b"this is a text")
    empty.touch()
    await shows(page, EXAMPLE)
    await choose(page, clip)
    await shows(page, [96, 64])
    await choose(page, text)
    await shows(page, EXAMPLE)
    more = page.locator("#chosen-more")
    words = "cannot show it, so styles are shown on an example"
    await expect(more).to_contain_text(words)
    await expect(more).to_contain_text("14\u00a0bytes")
    await choose(page, text, clip)
    await shows(page, [96, 64])
    await choose(page, clip, empty)
    await expect(page.locator("#trouble")).to_have_text("empty.mp4 is empty.")


async def test_the_example_that_comes_late_takes_nobodys_picture_away(page, studio):
    arrives = asyncio.Event()

    async def hold(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    await page.route("**/static/example.jpg", hold)
    await page.reload(wait_until="commit")
    await studio.job(video_name="early.mp4")
    await page.get_by_role("button", name="Watch early.mp4").click()
    await expect(page.locator("#title")).to_have_text("early.mp4")
    arrives.set()
    await when(page, lambda seen: seen["galleries"] == 1)
    await expect(page.locator("#before-still")).to_be_hidden()
    await page.locator(".card", has_text="Udnie").click()
    await shows(page, EXAMPLE)


async def test_a_preview_that_comes_late_does_not_take_the_place_of_a_jobs_picture(
    page, studio, tmp_path
):
    arrives = asyncio.Event()

    async def hold(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(Video(frames=8, size=(96, 80)).make())
    await when(page, lambda seen: seen["galleries"] == 1)
    await page.evaluate("() => { MediaSource.isTypeSupported = () => false; }")
    await page.route("**/api/previews*", hold)
    await choose(page, clip)
    await shows(page, [96, 80])
    job = await studio.job(video_name="odd.mp4")
    await studio.segment(job.job_id, 0)
    await page.get_by_role("button", name="Watch odd.mp4").click()
    still, thumbnail = page.locator("#after-still"), f"/api/jobs/{job.job_id}/thumbnail.jpg"
    await expect(still).to_have_attribute("src", thumbnail)
    painted = await page.evaluate(PAINTED)
    arrives.set()
    async with asyncio.timeout(60):
        while await page.evaluate(PAINTED) == painted:
            await asyncio.sleep(0.1)
    await expect(still).to_have_attribute("src", thumbnail)
    await expect(still).to_be_visible()


async def test_styles_are_shown_on_a_gif_and_on_a_photo_which_is_not_painted(page, tmp_path):
    moving, photo = tmp_path / "moving.gif", tmp_path / "photo.jpg"
    grey = [Image.new("L", (96, 64), level) for level in (40, 200)]
    grey[0].save(moving, save_all=True, append_images=grey[1:])
    grey[0].resize((64, 96)).save(photo)
    await choose(page, moving)
    await shows(page, [96, 64])
    await expect(page.locator("#chosen-more")).not_to_contain_text("example")
    await expect(page.locator("#trouble")).to_be_hidden()
    await choose(page, photo)
    await shows(page, [64, 96])
    said = "photo.jpg is a photo: styles can be tried on it, but only videos are painted."
    await expect(page.locator("#trouble")).to_have_text(said)
