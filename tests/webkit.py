"""WebKit, the engine of Safari, as it is on Linux: driven by WebDriver, the W3C's protocol."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from browsers import PATIENCE_MS
from ports import unused_port

from local.processes import Command, Supervised
from local.readiness import TcpReady

_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
"""What WebDriver calls a reference to an element."""

_AS_JSON: Final = """
return Promise.resolve((FUNCTION).apply(null, arguments)).then((it) => JSON.stringify(it ?? null))
"""
"""WebDriver has no words for what is undefined or not a number."""

_PROGRAMS: Final = ("WebKitWebDriver", "xvfb-run", "xauth")
_BROWSERS: Final = "usr/lib/*/webkit2gtk-4.*/MiniBrowser"
_LOST: Final = "Could not parse script result"
_SCREEN: Final = "-screen 0 1280x900x24"


class WebKitPage:
    """A page in WebKit. Names and meanings of methods are those of Playwright's ``Page``."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http = http
        self._address = address

    async def goto(self, address: str) -> None:
        await self._ask("POST", "/url", url=address)

    async def evaluate(self, function: str, *arguments: object) -> Any:
        """Call a function of JavaScript, a second time if need be; wait for what it promises."""
        script = _AS_JSON.replace("FUNCTION", function)
        try:
            said = await self._ask("POST", "/execute/sync", script=script, args=arguments)
        except AssertionError as error:
            # Under load the driver at times loses what a script has returned.
            if _LOST not in str(error):
                raise
            said = await self._ask("POST", "/execute/sync", script=script, args=arguments)
        return json.loads(said)

    async def set_input_files(self, selector: str, file: Path) -> None:
        await self._ask("POST", f"{await self._find(selector)}/value", text=str(file))

    async def click(self, selector: str) -> None:
        await self._ask("POST", f"{await self._find(selector)}/click")

    async def _find(self, selector: str) -> str:
        found = await self._ask("POST", "/element", using="css selector", value=selector)
        return f"/element/{found[_ELEMENT]}"

    async def _ask(self, method: str, path: str, **value: object) -> Any:
        body = value if method == "POST" else None
        async with self._http.request(method, self._address + path, json=body) as answer:
            said = (await answer.json())["value"]
        assert answer.ok, f"WebDriver: {said['error']}: {said['message']}"
        return said


@asynccontextmanager
async def webkit_page(folder: Path) -> AsyncIterator[WebKitPage]:
    """Open a page as somebody new, on a screen that nobody sees; skip where there is no WebKit."""
    browser = _browser()
    if browser is None or not all(map(shutil.which, _PROGRAMS)):
        pytest.skip("WebKit is not installed (on Debian: webkit2gtk-driver and xvfb)")
    port = unused_port()
    driver = Supervised(
        Command(
            name="WebKitWebDriver",
            argv=("xvfb-run", "-a", "-s", _SCREEN, "WebKitWebDriver", "-p", str(port)),
            # Without the last one GStreamer's player of HTTP Live Streaming is not used.
            environment={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "WEBKIT_GST_ENABLE_HLS_SUPPORT": "1",
            },
            log=folder / "webkit.log",
            ready=TcpReady(port),
            grace_s=0,
        )
    )
    options = {"binary": browser, "args": ["--automation"]}
    # Elements may still come for so long.
    wanted = {"webkitgtk:browserOptions": options, "timeouts": {"implicit": PATIENCE_MS}}
    await driver.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            opening = {"capabilities": {"alwaysMatch": wanted}}
            async with http.post("/session", json=opening) as answer:
                session = (await answer.json())["value"]["sessionId"]
            yield WebKitPage(http, f"/session/{session}")
            # Else the browser stays when its driver ends.
            async with http.delete(f"/session/{session}") as answer:
                assert answer.ok
    finally:
        await driver.stop()


def _browser() -> str | None:
    found = next(Path("/").glob(_BROWSERS), None)
    return None if found is None else str(found)
