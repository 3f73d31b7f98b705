"""The studio as people use it: its page in a real Chromium, with a whole stack."""

from __future__ import annotations

import asyncio
import base64
import filecmp
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from browsers import open_page
from command_processes import fork
from holding import held
from playwright.async_api import Browser, Dialog, Page, Response, Route, expect
from studio_page import (
    HEARD,
    HOSTILE,
    PLAY_FROM,
    PLAYS,
    SAME_PICTURE,
    WIDTH,
    choose,
    in_step,
    look,
    newest_jobs,
    sound_of,
    sounds_differ_by,
    when,
)
from videos import Sound, Video, times

from client import Account, open_pipeline
from local.stack import Stack, StackOptions
from shared.contracts.style_request import StyleRequest
from shared.styles.gallery import open_gallery

pytestmark = pytest.mark.asyncio(loop_scope="session")

STUDIO_MD = Path(__file__).parents[2] / "docs/studio.md"
FRAMES = 160
LENGTH_S = FRAMES * 1001 / 30000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("studio")
    environment = {"CHUNK_FRAMES": "16"}
    options = StackOptions(folder / "stack", environment=environment, studio=True, disposable=True)
    async with Stack(options) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(stack: Stack, browser: Browser) -> AsyncIterator[Page]:
    async with open_page(browser, stack.studio_address) as shown:
        yield shown


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "beach.mp4"
    path.write_bytes(Video(frames=FRAMES, size=(160, 96), sounds=[Sound(duration_s=10)]).make())
    return path


async def test_a_video_plays_while_it_is_being_painted_and_on_past_its_end(page, stack, clip):
    await choose(page, clip)
    styles = len(open_gallery(None, "starry-night").styles)
    await expect(page.locator(".card img.shown")).to_have_count(styles)
    await page.locator(".card", has_text="The Great Wave").click()
    puts: list[str] = []
    page.on("request", lambda request: request.method == "PUT" and puts.append(request.url))

    with ExitStack() as open_for_now:
        with held(stack, "stylizer-1"):
            await page.get_by_role("button", name="Paint", exact=True).click()
            state = page.locator(".job.shown .job-state")
            await expect(state).to_contain_text("Reading")
            # The job is open, and now stays so however fast it is painted.
            open_for_now.enter_context(held(stack, "assembler"))
        playing = await when(page, lambda seen: seen["time"] > 0.5)
        assert "Reading" in playing["state"]
        assert playing["source"].startswith("blob:")
        assert len(playing["buffered"]) == 1
        # Its one block went straight to storage.
        assert [url.partition("?")[0].rpartition("/")[2] for url in puts] == ["beach.mp4"]
        assert puts[0].startswith(stack.endpoints["storage"])

        await page.get_by_label("Sound is off").click()
        heard = await in_step(page, LENGTH_S)
        assert heard["source"] == playing["source"]
        assert (heard["muted"], heard["original_muted"]) == (True, False)
        await when(page, lambda seen: seen["buffered"][0][1] > LENGTH_S - 0.01)

    await when(page, lambda seen: "Done" in seen["state"])
    await page.evaluate(PLAY_FROM, LENGTH_S - 0.5)
    over = await when(page, lambda seen: seen["ended"])
    # It went on in what it had, and did not begin anew in the result.
    assert over["source"] == playing["source"]
    assert over["error"] is None
    (span,) = over["buffered"]
    assert span[0] == 0
    assert span[1] == pytest.approx(LENGTH_S, abs=0.001)

    (job,) = await newest_jobs(page, 1)
    async with open_pipeline(Account(stack.storage_connection_string)) as pipeline:
        stored = await pipeline.fetch(job["id"], clip.parent)
    same = await page.evaluate(SAME_PICTURE, [job["id"], 2.02])
    assert same["size"] == 160 * 96 * 4
    assert same["result"] == 0
    assert same["original"] > 60
    heard = np.frombuffer(base64.b64decode(await page.evaluate(HEARD, job["id"])), np.float32)
    assert np.abs(heard).max() > 0.05
    assert sounds_differ_by(heard, sound_of(clip)) < 0.001

    async with page.expect_download() as started:
        await page.locator(".job.shown").get_by_role("link", name="Download").click()
    download = await started.value
    assert download.suggested_filename == "beach.great-wave.mp4"
    assert filecmp.cmp(await download.path(), stored, shallow=False)


async def test_a_file_that_cannot_be_painted_says_why_and_its_name_runs_no_script(page, tmp_path):
    video = tmp_path / HOSTILE.replace("/", "")
    video.write_bytes(b"this is a text")
    await choose(page, video)
    await page.get_by_role("button", name="Paint", exact=True).click()
    job = page.locator(".job", has_text="onerror")
    await expect(job.locator(".job-state.bad")).to_contain_text("Failed")
    await expect(job.locator(".job-name")).to_contain_text("img src=x onerror")
    assert await page.locator("img[onerror], .job-name img").count() == 0
    assert await page.evaluate("() => globalThis.hacked ?? null") is None

    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await job.get_by_role("button", name="Delete").click()
    await expect(job).to_have_count(0)


async def test_an_upload_continues_after_its_page_was_left_and_through_the_studio(page, tmp_path):
    two_blocks = tmp_path / "blocks.mp4"
    two_blocks.write_bytes(b"this is a text " * 300_000)
    kept, sent, asked = asyncio.Event(), [], []

    async def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

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
    page.on("dialog", leave)
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
    await expect(job).to_contain_text("Failed")
    # The browser asks before a page is left in the middle of an upload, and not afterwards.
    await page.reload()
    assert asked == ["beforeunload"]
    first, second = sent
    assert "comp=block" in first
    assert second.endswith("/1")
    assert second.startswith(page.url)


@pytest.mark.slow
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
        await expect(job).to_be_visible()
        if plays:
            played = await when(page, lambda seen: seen["time"] > 0.2)
            assert played["error"] is None
        else:
            await expect(job.get_by_role("link", name="Download")).to_be_visible()
            await expect(page.locator("#hint span")).to_have_text(
                f"This browser cannot play {name}: download the result."
            )
            await expect(page.locator("#after-still")).to_be_visible()
            assert await page.evaluate(WIDTH) > 0
    found = await newest_jobs(page, 2)
    assert {(job["codec"], job["quality"]) for job in found} == {("av1", 80), ("hevc", 80)}


async def test_the_script_of_the_documentation_paints_a_video(stack, clip, tmp_path):
    documented = re.search(r"```python\n(.*?)```", STUDIO_MD.read_text(), re.DOTALL)
    assert documented is not None
    address, _, token = stack.studio_address.partition("/?token=")
    script = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", documented[1], address, token, clip),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, _ = await script.communicate()
    assert out.decode().splitlines()[-1] == f"done {FRAMES} None"
    assert times(tmp_path / "beach.udnie-strength-80.mp4") == times(clip)


async def test_the_keyboard_is_enough(page, stack, tmp_path):
    short = tmp_path / "short.mp4"
    short.write_bytes(Video(frames=48, size=(480, 272)).make())
    await choose(page, short)
    chosen = page.locator(".card input:checked")
    first = await chosen.input_value()
    await chosen.focus()
    await page.keyboard.press("ArrowDown")
    assert await page.locator(".card input:checked").input_value() != first
    await expect(page.locator("#after-still")).to_be_visible()
    await page.locator("#compare").focus()
    await page.keyboard.press("Home")
    assert await page.locator("#compare").input_value() == "0"
    # Nobody paints, so that there is something to cancel.
    with held(stack, "stylizer-1"):
        await page.locator("#paint").focus()
        await page.keyboard.press("Enter")
        state = page.locator(".job.shown .job-state")
        await expect(state).to_contain_text("Reading")
        cancel = page.locator(".job.shown").get_by_role("button", name="Cancel")
        await cancel.focus()
        await page.keyboard.press("Enter")
        await expect(state).to_contain_text("Cancelled")


@pytest.mark.slow
async def test_a_restart_in_mid_play_is_only_a_pause(page, stack, tmp_path):
    gone = tmp_path / "gone.mp4"
    gone.write_bytes(b"this is a text")
    account = Account(stack.storage_connection_string)
    async with open_pipeline(account) as pipeline:
        ended = (await pipeline.submit(gone, StyleRequest(style="udnie"))).job_id
    other = page.locator(".job.failed", has_text="gone.mp4")
    await expect(other).to_be_visible()
    long = tmp_path / "long.mp4"
    long.write_bytes(Video(frames=200, size=(160, 96)).make())
    killed = asyncio.Event()

    async def after_the_restart(route: Route) -> None:
        await killed.wait()
        await route.continue_()

    # The page is here when the studio ends, however fast it was until then.
    await page.route("**/live/8.m4s", after_the_restart)
    await choose(page, long)
    await page.get_by_role("button", name="Paint", exact=True).click()
    await when(page, lambda seen: seen["time"] > 0.3)
    studio = next(process for process in stack.processes if process.name == "web")
    os.kill(studio.pid, 9)
    killed.set()
    buffered = (await look(page))["buffered"][0][1]
    # What is deleted elsewhere while the page hears nothing is gone from it afterwards.
    async with open_pipeline(account) as pipeline:
        await pipeline.delete(ended)
    recovered = await when(page, lambda seen: seen["buffered"][0][1] > buffered + 1)
    assert recovered["error"] is None
    assert studio.restarts == 1
    await expect(other).to_have_count(0)


async def test_up_opens_the_studio_that_runs_and_starts_no_other_stack(stack, tmp_path):
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >"{opened}"\n', encoding="utf-8")
    browser.chmod(0o755)
    folder = stack.options.directory
    code, out, err = await fork("up", "--open", "--dir", folder, BROWSER=str(browser))
    assert (code, err) == (0, "")
    assert out == f"the studio is running already: open {stack.studio_address}\n"
    assert opened.read_text(encoding="utf-8").strip() == stack.studio_address

    code, out, err = await fork("up", "--open", "--dir", folder, "--stylizers", "2")
    assert (code, out) == (2, "")
    why = f"has no effect: the stack in {folder} is running already"
    assert err == f"stylestream: --stylizers {why}\n"
