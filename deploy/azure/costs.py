"""Estimates what the pipeline costs in Azure.

Nothing here was billed: prices.json has list prices with their sources, and assumptions. Replace
them with your own prices and your GPU's frame rate, and run it again. ::

    python -m deploy.azure.costs
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PRICES: Final = Path(__file__).parent / "prices.json"

HOURS_A_MONTH: Final = 730
CHUNK_FRAMES: Final = 32
ENDPOINTS: Final = 4
ZONES: Final = 3
GPUS: Final = {"t4": "T4", "a100": "A100"}


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in dollars, and the assumptions."""

    usd: dict[str, float]
    assumed: dict[str, Any]

    @classmethod
    def read(cls, path: Path = PRICES) -> Prices:
        """Read a file of prices."""
        content = json.loads(path.read_text(encoding="utf-8"))
        prices = {name: float(entry["usd"]) for name, entry in content["prices"].items()}
        return cls(prices, content["assumptions"])

    def idle_month(self) -> dict[str, float]:
        """Return the costs of a month without uploads, by purpose."""
        hourly = {
            "Kubernetes control plane (Standard tier)": "control_plane",
            "one system node": "system_node",
            "Event Hubs, one throughput unit": "throughput_unit",
            "Grafana": "grafana",
            "the cluster's way out: load balancer": "load_balancer",
            "the cluster's way out: address": "public_ip",
        }
        lines = {what: self.usd[name] * HOURS_A_MONTH for what, name in hourly.items()}
        lines["container registry"] = self.usd["registry"] * HOURS_A_MONTH / 24
        lines["logs"] = self.usd["logs"] * self.assumed["idle_log_gb_per_month"]
        lines["metrics"] = self.usd["metrics"] * self.assumed["idle_samples_per_month"] / 1e7
        lines["storage: looking for work"] = self.looking_month()
        lines["GPU nodes, Event Grid"] = 0.0
        return lines

    def looking_month(self) -> float:
        """Return what storage requests cost in a month without uploads.

        KEDA reads the position of each partition. The exporter lists the positions of each hub,
        and the uploads once a minute. Every hour, services are started to look for lost events.
        """
        minutes = HOURS_A_MONTH * 60
        looks = minutes * self.assumed["looks_per_minute"]
        wakes = HOURS_A_MONTH * self.assumed["wakes_per_hour"]
        reads = looks * self.assumed["partitions"]
        lists = looks * self.assumed["hubs"] + minutes
        lists += wakes * self.assumed["lists_and_writes_per_wake"]
        return float(reads * self.usd["blob_reads"] + lists * self.usd["blob_writes"]) / 1e4

    def private_network_month(self) -> float:
        """Return what private endpoints cost a month."""
        endpoints = ENDPOINTS * HOURS_A_MONTH * self.usd["private_endpoint"]
        return endpoints + ZONES * self.usd["private_zone"]

    def gpu_hours(self, rate: float) -> float:
        """Return the hours that a GPU with this frame rate takes to paint an hour of video."""
        frames: float = 3600 * self.assumed["frames_per_second"]
        return frames / rate / 3600

    def painting(self, gpu: str, market: str) -> tuple[float, float]:
        """Return the lowest and the highest cost of GPU time for an hour of video."""
        slow, fast = self.assumed[f"{gpu}_frames_per_second"]
        price = self.usd[f"{gpu}_{market}"]
        return self.gpu_hours(fast) * price, self.gpu_hours(slow) * price

    def burst(self, gpu: str, market: str) -> float:
        """Return the cost of a GPU node while it starts, and while it is idle at the end."""
        minutes: float = self.assumed["cold_start_minutes"] + self.assumed["idle_minutes"]
        return minutes / 60 * self.usd[f"{gpu}_{market}"]

    def moving(self) -> float:
        """Return the cost of blobs and events for an hour of video."""
        chunks = 3600 * self.assumed["frames_per_second"] / CHUNK_FRAMES
        writes = chunks * self.assumed["writes_per_chunk"] * self.usd["blob_writes"] / 1e4
        reads = chunks * self.assumed["reads_per_chunk"] * self.usd["blob_reads"] / 1e4
        events: float = chunks * self.assumed["events_per_chunk"] * self.usd["events"] / 1e6
        return float(writes + reads + events)


def tables(prices: Prices) -> Iterator[str]:
    """Yield the tables as lines of Markdown."""
    idle = prices.idle_month()
    yield "| a month without any video | $ |"
    yield "|---|---|"
    yield from (f"| {what} | {cost:.2f} |" for what, cost in idle.items())
    yield f"| **all** | **{sum(idle.values()):.0f}** |"
    yield f"| private endpoints, if `privateNetwork` is on | {prices.private_network_month():.2f} |"
    yield ""
    assumed = prices.assumed
    size = f"{assumed['width']}x{assumed['height']}, {assumed['frames_per_second']} frames/s"
    yield f"| an hour of video ({size}) | frames/s (assumed) | GPU hours | on demand, $ | spot, $ |"
    yield "|---|---|---|---|---|"
    for gpu, name in GPUS.items():
        slow, fast = assumed[f"{gpu}_frames_per_second"]
        hours = f"{prices.gpu_hours(fast):.2f} to {prices.gpu_hours(slow):.2f}"
        costs = [_range(*prices.painting(gpu, market)) for market in ("on_demand", "spot")]
        yield f"| painting on one {name} | {slow} to {fast} | {hours} | {costs[0]} | {costs[1]} |"
    for gpu, name in GPUS.items():
        once = [f"{prices.burst(gpu, market):.2f}" for market in ("on_demand", "spot")]
        yield f"| once a burst: starting and idling of a {name} | | | {once[0]} | {once[1]} |"
    moving = f"{prices.moving():.2f}"
    yield f"| blobs and events | | | {moving} | {moving} |"


def sources() -> Iterator[str]:
    """Yield each price with its source as lines of Markdown."""
    content = json.loads(PRICES.read_text(encoding="utf-8"))
    yield "| price | $ | per | source |"
    yield "|---|---|---|---|"
    for entry in content["prices"].values():
        source = content["sources"][entry["source"]]
        yield f"| {entry['what']} | {entry['usd']:g} | {entry['per']} | {source} |"


def _range(least: float, most: float) -> str:
    return f"{least:.2f} to {most:.2f}"


if __name__ == "__main__":
    print("\n".join([*tables(Prices.read()), "", *sources()]))
