"""The studio's page in a real Chromium, without a stylizer."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect
from studio_page import (
    CONTRAST,
    CUT_OFF,
    change_style_over_time,
    choose,
    look,
    open_all_settings,
    when,
)
from videos import Video

from shared.contracts.errors import TransientError
from shared.contracts.status import Failure, Waiting, utc_now
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import parse_style_request
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = StyleRequest(
    style="starry-night:0.75,udnie:0.25@0s,great-wave@65s",
    fade=2,
    strength=0.7,
    preserve_color=True,
    brush=360,
    duration=5,
    max_side=1280,
    quality=80,
)


async def test_every_control_says_how_each_of_several_files_is_painted(page, studio, tmp_path):
    await page.locator("#filter").select_option("Done")
    await expect(page.get_by_text("None of your paintings is of this kind.")).to_be_visible()
    await page.locator("#filter").select_option("All")
    await expect(page.get_by_text("Your videos appear here")).to_be_visible()
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
    await page.set_viewport_size({"width": 375, "height": 800})
    await page.get_by_role("button", name="Paint 3 videos").click()
    await expect(page.locator(".job").first).to_be_in_viewport()

    lost = page.locator(".job.failed", has_text="lost.mp4")
    await expect(lost).to_contain_text("The file cannot be read any more.")
    await lost.get_by_role("button", name="Dismiss").click()
    await expect(lost).to_have_count(0)
    sent = page.locator(".job", has_text="Waiting for the painter")
    await expect(sent).to_have_count(2)
    uploads = [item async for item in studio.blobs.items(studio.names["uploads"])]
    assert {item.name.rpartition("/")[2] for item in uploads} == {"one.mp4", "two.mp4"}
    asked = [parse_style_request(item.metadata, "starry-night") for item in uploads]
    assert asked == [ASKED, ASKED]


async def test_a_fifth_style_cannot_be_mixed_in_and_the_page_says_so(page):
    await page.get_by_text("Mix several").click()
    for name in ("Udnie", "The Scream", "Wheat Field"):
        await page.locator(".card", has_text=name).click()
    cards = page.locator(".card input")
    await expect(page.get_by_text("At most four styles can be mixed")).to_be_visible()
    await expect(page.locator("#facts")).to_contain_text("Udnie 25 %, The Scream 25 %")
    await expect(cards.and_(page.locator(":enabled"))).to_have_count(4)
    await page.locator(".card", has_text="Udnie").click()
    await expect(page.get_by_text("At most four styles can be mixed")).to_be_hidden()
    await expect(cards.and_(page.locator(":disabled"))).to_have_count(0)


async def test_why_a_job_was_not_deleted_is_still_said_when_another_job_has_changed(page, studio):
    done = await studio.job(video_name="done.mp4", state="done", result="done.mp4")
    other = await studio.job(video_name="other.mp4", frames=100, frames_stylized=10)
    await studio.result(done.job_id, "done.mp4", b"painted")
    results = studio.account.get_container_client(studio.names["results"])
    lease = await results.get_blob_client("done.mp4").acquire_lease()
    card = page.locator(".job", has_text="done.mp4")
    page.on("dialog", lambda dialog: dialog.accept())
    await card.get_by_role("button", name="Delete").click()
    await expect(card).to_contain_text("lease")
    await expect(page.locator("#announce")).to_contain_text("lease")
    await studio.job(job_id=other.job_id, video_name="other.mp4", frames=100, frames_stylized=50)
    await expect(page.locator(".job", has_text="other.mp4")).to_contain_text("50")
    await expect(card).to_contain_text("lease")
    await lease.release()
    await card.get_by_role("button", name="Delete").click()
    await expect(card).to_have_count(0)


async def test_painting_that_is_slower_than_the_video_says_when_to_start(page, studio):
    video = Video(frames=240, size=(64, 48)).make()
    await studio.blobs.create(studio.names["uploads"], "slow.mp4", video)
    record = await studio.job(video_name="slow.mp4", frames=240, frames_stylized=24, style=ASKED)
    job = record.job_id
    for number in range(6):
        await studio.segment(job, number)
    await page.get_by_role("button", name="Watch slow.mp4").click()
    await expect(page.locator(".job", has_text="slow.mp4")).to_contain_text(
        "The Starry Night 75 %, Udnie 25 %, The Great Wave off Kanagawa from 65s"
    )
    # Of its 8 s, 5 were asked for.
    await expect(page.locator("#clock")).to_have_text("0:00 / 0:05")
    await page.set_viewport_size({"width": 320, "height": 568})
    bar = await page.locator("#seek").bounding_box()
    assert bar["width"] > 200, "there is room to aim at a time"
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_can_be_read_reached_and_named(page, studio, scheme):
    await page.emulate_media(color_scheme=scheme)
    await open_all_settings(page)
    name = f"{scheme} {'very-long-name' * 12}.mp4"
    lost = Failure(code="NOT_A_VIDEO", message=f"This is not a video. {'It is a text. ' * 12}")
    await studio.job(video_name=name, state="failed", error=lost)
    losses = ("8 frames are missing",)
    await studio.job(video_name=name, state="degraded", warnings=losses, result="lossy.mp4")
    await studio.job(
        video_name=f"{scheme} waits.mp4", waiting=Waiting(reason="a splitter", since=utc_now())
    )
    await expect(page.locator(".job", has_text=f"{scheme} waits")).to_contain_text(
        "Waiting for a splitter"
    )
    failed = page.locator(".job.failed", has_text=name)
    await failed.get_by_role("button", name="Watch").click()
    await expect(page.locator("#hint")).to_contain_text("It is a text.")
    for width in (375, 768, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert await page.evaluate(CONTRAST) == []
        assert await page.evaluate(CUT_OFF) == []
    await page.emulate_media(forced_colors="active")
    # Settings pass behind the button that stays in sight, and must not be seen through it.
    behind = "() => getComputedStyle(document.querySelector('.go')).backgroundColor"
    assert (await page.evaluate(behind)).startswith("rgb(")
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a")]
          .filter((one) => one.checkVisibility())
          .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length))
          .map((one) => one.outerHTML)"""
    )
    assert nameless == []


async def test_after_a_deletion_the_keyboard_focus_is_on_the_neighbour(page, studio):
    for name in ("older.mp4", "newer.mp4"):
        await studio.job(video_name=name, state="cancelled")
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    newer = page.locator(".job", has_text="newer.mp4")
    # Out of their place, as in a list of all buttons, they say what they delete.
    await page.get_by_role("button", name="Delete newer.mp4").press("Enter")
    await expect(newer).to_have_count(0)
    await expect(page.get_by_role("button", name="Watch older.mp4")).to_be_focused()
    await studio.job(video_name="open.mp4")
    cancel = page.locator(".job", has_text="open.mp4").get_by_role("button", name="Cancel")
    await cancel.press("Enter")
    await expect(
        page.locator(".job", has_text="open.mp4").get_by_role("button", name="Delete")
    ).to_be_focused()


async def test_an_upload_that_failed_shows_no_progress(page, tmp_path):
    empty = tmp_path / "nothing.mp4"
    empty.touch()
    await choose(page, empty)
    await page.locator("#paint").click()
    failed = page.locator(".job.failed", has_text="nothing.mp4")
    await expect(failed).to_contain_text("The file is empty.")
    await expect(failed.locator(".bar")).to_be_hidden()


async def test_who_paints_by_the_keyboard_keeps_the_focus(page, tmp_path):
    text = tmp_path / "keyboard.mp4"
    text.write_bytes(b"this is a text")
    await choose(page, text)
    paint = page.locator("#paint")
    await paint.press("Enter")
    sent = page.locator(".job", has_text="keyboard.mp4")
    await expect(sent).to_contain_text("Waiting for the painter")
    await expect(paint).to_have_text("Paint")
    await expect(paint).to_be_focused()


async def test_a_form_that_is_sent_twice_at_once_paints_once(page, tmp_path):
    text = tmp_path / "twice.mp4"
    text.write_bytes(b"this is a text")
    await choose(page, text)
    await expect(page.locator("#paint")).to_have_text("Paint")
    await page.evaluate(
        "() => [1, 2].forEach(() => document.getElementById('choices').requestSubmit())"
    )
    await expect(page.locator(".job", has_text="twice.mp4")).to_have_count(1)


async def test_who_asks_for_more_by_the_keyboard_goes_on_at_the_first_that_was_added(page, studio):
    await asyncio.gather(*(studio.job(state="cancelled") for _ in range(31)))
    more = page.locator("#more")
    await expect(more).to_be_visible()
    await more.press("Enter")
    await expect(page.locator(".job .thumb").nth(30)).to_be_focused()


async def test_what_could_not_be_painted_is_once_the_studio_answers_again(
    page, studio, tmp_path, monkeypatch
):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(Video(frames=8, size=(80, 64)).make())
    await when(page, lambda seen: seen["galleries"] == 1)
    await page.route("**/api/previews*", lambda route: route.abort())
    with monkeypatch.context() as away:
        away.setattr(BlobStore, "fetch", refuse)
        away.setattr(BlobStore, "items", refuse)
        await expect(page.locator("#away")).to_be_visible()
        await choose(page, clip)
        trouble = page.locator("#trouble")
        await expect(trouble).to_have_text("The studio does not answer.")
        await page.unroute("**/api/previews*")
    await expect(trouble).to_be_hidden()
    await when(page, lambda seen: seen["galleries"] == 2)


COVERED = """() => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => globalThis.covered });
}"""
COVER = """(covered) => {
  globalThis.covered = covered;
  document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_pages_in_the_background_leave_the_browsers_connections_to_the_one_in_front(
    page, studio
):
    """A browser has six connections to a studio that speaks HTTP/1.1, for all its tabs."""
    await studio.job()
    covered = []
    for _ in range(6):
        tab = await page.context.new_page()
        await tab.add_init_script(f"({COVERED})()")
        await tab.goto(studio.url)
        await expect(tab.locator("#list")).to_be_visible()
        await tab.evaluate(COVER, True)
        covered.append(tab)
    await studio.job(video_name="meanwhile.mp4")
    job = page.locator(".job", has_text="meanwhile.mp4")
    await expect(job).to_be_visible()
    await expect(covered[0].locator(".job", has_text="meanwhile.mp4")).to_have_count(0)
    await covered[0].evaluate(COVER, False)
    await expect(covered[0].locator(".job", has_text="meanwhile.mp4")).to_be_visible()


def refuse(*_args: object) -> None:
    raise TransientError("cannot list jobs: storage.example:443 refuses connections")
