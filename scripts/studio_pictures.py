"""Takes the pictures of the studio for README.md and docs/studio.md.

    .venv/bin/python scripts/studio_pictures.py [VIDEO]

It starts a stack, uploads a video on the page, and takes pictures while it is being painted. Needs
Chromium and what ``scripts/setup --test`` installs.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Browser, Page, async_playwright

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGES: Final = ROOT / "docs/images"
SAMPLE: Final = ROOT / "local/sample.mp4"
BROWSERS: Final = ("chromium", "chromium-headless-shell", "google-chrome")
FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
)
_QUALITY: Final = 88
_TIME: Final = "() => document.getElementById('after-video').currentTime"
_STARTED: Final = """() => {
  const wait = document.getElementById("play-anyway");
  if (wait.checkVisibility()) wait.click();
  return document.getElementById("after-video").paused ? 0 : 1;
}"""
_MARKS: Final = "() => performance.getEntriesByName('frame painted').length"
_FIGURES: Final = "() => performance.getEntriesByType('mark').map((m) => [m.name, m.startTime])"


async def main(video: Path) -> None:
    """Take all pictures."""
    sys.path.insert(0, str(ROOT))
    from local.stack import Stack, StackOptions

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    with tempfile.TemporaryDirectory() as folder:
        options = StackOptions(Path(folder), studio=True, disposable=True)
        async with Stack(options) as stack, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
            await take(browser, stack.studio_address, video)
            await browser.close()


async def take(browser: Browser, address: str, video: Path) -> None:
    """Upload a video and take pictures of the page, also at a phone's width in the dark scheme."""
    page = await open_page(browser, address, width=1440, height=960)
    await page.set_input_files("#files", video)
    await until(page, _MARKS, 2)
    await page.screenshot(path=IMAGES / "studio-choose.jpg", quality=_QUALITY, type="jpeg")
    await page.get_by_role("button", name="Paint", exact=True).click()
    # If painting is slower than the video, the page waits, and there is nothing to see yet.
    await until(page, _STARTED, 1)
    await until(page, _TIME, 1)
    await page.evaluate("() => window.scrollTo(0, 0)")
    await page.screenshot(path=IMAGES / "studio.jpg", quality=_QUALITY, type="jpeg")
    print(await page.evaluate(_FIGURES))
    phone = await open_page(browser, address, width=375, height=900, scheme="dark")
    await phone.locator(".thumb").first.click()
    await until(phone, _TIME, 1)
    path = IMAGES / "studio-375.jpg"
    await phone.screenshot(path=path, quality=_QUALITY, type="jpeg", full_page=True)


async def open_page(
    browser: Browser,
    address: str,
    *,
    width: int,
    height: int,
    scheme: Literal["light", "dark"] = "light",
) -> Page:
    """Open the page in a new browser context."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    await page.emulate_media(color_scheme=scheme)
    await page.goto(address)
    await until(page, _MARKS, 1)
    return page


async def until(page: Page, figure: str, least: float) -> None:
    """Wait until a number on the page is large enough; its policy forbids Playwright's polling."""
    async with asyncio.timeout(180):
        while await page.evaluate(figure) < least:  # noqa: ASYNC110 - the page cannot call us
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else SAMPLE))
