"""Runs the pipeline under a real Prometheus, with jobs that succeed and failures of all kinds.

``python -m deploy.monitoring.rehearsal FOLDER`` writes Prometheus' data into the folder, and
``window.json`` with the time that they cover. `deploy.monitoring.check` queries them.

Only the GPU's metrics are simulated, by an exporter with constant values, so that no GPU is needed.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from client import Account, Pipeline, open_pipeline
from deploy.monitoring.prometheus import Prometheus, require, running, unused_port
from local.processes import Command, Supervised
from local.readiness import HttpReady
from local.stack import Stack, StackOptions
from shared.contracts.style_request import StyleRequest

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = Path(__file__).parent / "rules"
SCRAPE_S: Final = 1
STYLIZERS: Final = 2

_SETTINGS: Final = {"CHUNK_FRAMES": "16", "PROBE_INTERVAL_S": "2"}
# Small pictures make the rehearsal short.
_MAX_SIDE: Final = 400
_HUBS: Final = ("uploads", "frames", "segments")
_SERVICES: Final = ("splitter", "stylizer", "assembler", "web")
_DELIVERY: Final = {
    "specversion": "1.0",
    "id": "1",
    "type": "rehearsal",
    "source": "/here",
    "data": {},
}
# So that the windows of rates also cover the last moments.
_REST_S: Final = 5.0
_PATIENCE_S: Final = 300.0

_PLAYED_GPU: Final = """\
stylizer_gpu_up{gpu="0"} 1
stylizer_gpu_utilization_ratio{gpu="0"} 0.62
stylizer_gpu_memory_used_bytes{gpu="0"} 2.1e9
stylizer_gpu_memory_total_bytes{gpu="0"} 1.6e10
stylizer_gpu_power_watts{gpu="0"} 54
stylizer_gpu_temperature_celsius{gpu="0"} 57
"""


def main(folder: Path) -> None:
    """Run the rehearsal, and replace the data of an earlier one in ``folder``."""
    require()
    for data in (folder / "stack", folder / "prometheus"):
        shutil.rmtree(data, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_rehearse(folder))


async def _rehearse(folder: Path) -> None:
    webhook = _Webhook()
    options = StackOptions(
        folder / "stack", STYLIZERS, studio=True, environment=_SETTINGS | webhook.environment
    )
    async with Stack(options) as stack, _exporting(stack, folder) as exporter:
        with _played_gpu() as gpu:
            targets = _targets(stack, gpu) | {"exporter": [exporter]}
            with running(folder / "prometheus", _config(targets)) as prometheus:
                start_s = time.time()
                await _all_scraped(prometheus, sum(map(len, targets.values())))
                await webhook.knock()
                await _work(stack, folder)
                await _watch(stack.studio_address)
                await asyncio.gather(*(_lint(url) for url in _services(stack).values()))
                await asyncio.sleep(_REST_S)
                end_s = await _moment_of_all(prometheus, sum(map(len, targets.values())))
                window = {"start_s": start_s, "end_s": end_s}
    (folder / "window.json").write_text(json.dumps(window), encoding="utf-8")


async def _work(stack: Stack, folder: Path) -> None:
    """Paint two videos, refuse one upload, and put an event into each hub that is none of ours."""
    text = folder / "text.mp4"
    text.write_text("no video")
    sample = Path(str(files("local").joinpath("sample.mp4")))
    async with open_pipeline(Account(stack.storage_connection_string)) as pipeline:
        for hub in _HUBS:
            await _send_nonsense(stack.eventhub_connection_string, hub)
        # One after the other, so that the pictures show more than one moment.
        assert await _outcome(pipeline, sample, "starry-night") == "done"
        assert await _outcome(pipeline, text, "starry-night") == "failed"
        assert await _outcome(pipeline, sample, "the-scream") == "done"


async def _watch(address: str) -> None:
    """Do what a page does: preview a style, upload a video, and play it while it is painted."""
    where = urlsplit(address)
    token = parse_qs(where.query)["token"][0]
    sample = files("local").joinpath("sample.mp4").read_bytes()
    async with aiohttp.ClientSession(
        f"http://{where.netloc}", headers={"Authorization": f"Bearer {token}"}
    ) as session:
        path = "/api/previews?width=64&height=48&style=great-wave"
        async with session.post(path, data=bytes(64 * 48 * 3)) as answer:
            assert answer.status == HTTPStatus.OK
        new = {"name": "sample.mp4", "size": len(sample), "style": "great-wave"}
        async with session.post("/api/uploads", json=new) as answer:
            upload = await answer.json()
        path, size = f"/api/uploads/{upload['upload']}", upload["block_bytes"]
        for number in range(upload["blocks"]):
            block = sample[number * size : (number + 1) * size]
            async with session.put(f"{path}/{number}", data=block) as answer:
                assert answer.status == HTTPStatus.NO_CONTENT
        async with session.post(f"{path}/complete") as answer:
            job = (await answer.json())["job"]
        await _play(session, job)


async def _play(session: aiohttp.ClientSession, job: str) -> None:
    # Like the page: after each change of the job, fetch what has been painted since.
    played = 0
    async with asyncio.timeout(_PATIENCE_S), _followed(session, job) as changes:
        async for _ in changes:
            async with session.get(f"/api/jobs/{job}/live") as answer:
                live = await answer.json() if answer.status == HTTPStatus.OK else {"segments": ()}
            for segment in live["segments"][played:]:
                fragment = f"/api/jobs/{job}/live/{segment['number']}.m4s"
                async with session.get(fragment) as answer:
                    assert answer.status == HTTPStatus.OK
                played += 1
    assert played, "nothing was painted"


@asynccontextmanager
async def _followed(session: aiohttp.ClientSession, job: str) -> AsyncIterator[AsyncIterator[None]]:
    while True:
        answer = await session.get(f"/api/jobs/{job}/events")
        if answer.status == HTTPStatus.OK:
            break
        answer.release()
        await asyncio.sleep(0.2)  # no splitter has taken it up yet

    async def changes() -> AsyncIterator[None]:
        async for line in answer.content:
            if line.startswith(b"data:"):
                yield

    try:
        yield changes()
    finally:
        answer.close()


class _Webhook:
    """Calls the splitter's webhook once as Event Grid, and once with a wrong secret."""

    def __init__(self) -> None:
        self._port = unused_port()
        self._secret = secrets.token_urlsafe()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "WEBHOOK_HOST": "127.0.0.1",
            "WEBHOOK_PORT": str(self._port),
            "WEBHOOK_SECRET": self._secret,
        }

    async def knock(self) -> None:
        url = f"http://127.0.0.1:{self._port}/events"
        async with aiohttp.ClientSession() as session:
            for secret, status in ((self._secret, 200), ("a-stranger's-guess", 401)):
                headers = {"X-Webhook-Key": secret}
                async with session.post(url, json=_DELIVERY, headers=headers) as answer:
                    assert answer.status == status


async def _outcome(pipeline: Pipeline, video: Path, style: str) -> str:
    submission = await pipeline.submit(video, StyleRequest(style=style, max_side=_MAX_SIDE))
    async for view in pipeline.watch(submission.job_id):
        if view.status is not None and view.status.ended:
            print(f"{video.name} in {style}: {view.status.state}")
            return str(view.status.state)
    raise AssertionError("a watch ends with an ended job")


async def _send_nonsense(connection_string: str, hub: str) -> None:
    async with EventHubProducerClient.from_connection_string(
        connection_string, eventhub_name=hub
    ) as client:
        await client.send_batch([EventData(b"this is no event of ours")])


async def _all_scraped(prometheus: Prometheus, targets: int) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(prometheus.targets_up) < targets:  # noqa: ASYNC110 - it is a process that we wait for
            await asyncio.sleep(0.2)


async def _moment_of_all(prometheus: Prometheus, targets: int) -> float:
    """Return a time at which the last scrape of every target had succeeded.

    On a busy machine a scrape may time out, and then its target's series end.
    """
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            moment_s = time.time()
            # By then, scrapes that had begun at that time are over.
            await asyncio.sleep(2 * SCRAPE_S)
            up = await asyncio.to_thread(prometheus.query, "up == 1", moment_s, moment_s, 1)
            if len(up) == targets:
                return moment_s


async def _lint(url: str) -> None:
    """Check a service's metrics with promtool; exit if it complains."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        metrics = await answer.read()
    checking = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"), stdin=asyncio.subprocess.PIPE
    )
    await checking.communicate(metrics)
    if checking.returncode:
        raise SystemExit(f"promtool does not like the metrics of {url}")


def _services(stack: Stack) -> dict[str, str]:
    return {name: url for name, url in stack.endpoints.items() if name.split("-")[0] in _SERVICES}


def _targets(stack: Stack, gpu: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"played-gpu": [gpu]}
    for name, url in _services(stack).items():
        found.setdefault(name.split("-")[0], []).append(urlsplit(url).netloc)
    return found


def _config(targets: dict[str, list[str]]) -> str:
    return json.dumps(  # which is YAML, too
        {
            "global": {
                "scrape_interval": f"{SCRAPE_S}s",
                "evaluation_interval": f"{SCRAPE_S}s",
            },
            "rule_files": [str(RULES / "*.yml")],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": addresses}]}
                for job, addresses in targets.items()
            ],
        }
    )


@asynccontextmanager
async def _exporting(stack: Stack, folder: Path) -> AsyncIterator[str]:
    """Run an exporter beside the stack; yield its address."""
    address = f"127.0.0.1:{unused_port()}"
    host, port = address.split(":")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "EVENTHUB_CONNECTION_STRING": stack.eventhub_connection_string,
        "STORAGE_CONNECTION_STRING": stack.storage_connection_string,
        "METRICS_HOST": host,
        "METRICS_PORT": port,
        # The services of a local stack read in the exporter's default group.
        "ONLOOKER_GROUP": "exporter",
        "LOOK_INTERVAL_S": "2",
        "UPLOADS_INTERVAL_S": "2",
    }
    argv = (sys.executable, "-P", "-m", "exporter")
    log, ready = folder / "exporter.log", HttpReady(f"http://{address}/readyz")
    process = Supervised(Command("exporter", argv, environment, log, ready))
    await process.start()
    yield address
    await process.stop()


@contextmanager
def _played_gpu() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _PlayedGpu) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


class _PlayedGpu(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(_PLAYED_GPU.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
