"""Test at start-up, in a process confined as a decoder is, whether the confinement holds.

What a container's own rules, an old kernel or an emulated processor leave of it is found out by
trying, not by comparing versions.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Final

import structlog

from shared.contracts.errors import ConfigurationError
from splitter.decoder.confinement import missing_sentence
from splitter.decoder.forks import ForkServer
from splitter.decoder.wire import TRIAL
from splitter.protection import LAYERS, Layer

log = structlog.get_logger()

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The layers of the sandbox in force, and the forbidden acts that still succeed."""

    layers: frozenset[Layer]
    possible: tuple[str, ...]


async def check_sandbox(server: ForkServer, *, required: bool) -> Outcome:
    """Confine a fork, have it try what a hostile decoder would, and log the outcome.

    Raises:
        ConfigurationError: the sandbox is required, and a layer is missing or does not hold.
    """
    outcome = await _run(server)
    missing = frozenset(LAYERS) - outcome.layers
    if required and missing:
        raise ConfigurationError([f"SANDBOX: {missing_sentence(missing)}"])
    if required and outcome.possible:
        acts = ", ".join(outcome.possible)
        raise ConfigurationError([f"SANDBOX: a confined decoder can still {acts}."])
    report = log.warning if missing or outcome.possible else log.info
    report(
        "decoder sandbox",
        layers=sorted(outcome.layers),
        missing=sorted(missing),
        possible=list(outcome.possible),
    )
    return outcome


async def _run(server: ForkServer) -> Outcome:
    fork = await server.fork(TRIAL)
    fork.connection.close()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            said, errors = await asyncio.gather(fork.output.read(), fork.errors.read())
            code = await fork.wait()
    except TimeoutError:
        raise ConfigurationError(
            [f"SANDBOX: the test of the sandbox took longer than {_TIMEOUT_S:.0f} s."]
        ) from None
    finally:
        await fork.stop()
    if code != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise ConfigurationError(
            [f"SANDBOX: the test of the sandbox failed: {''.join(last) or code}"]
        )
    found = json.loads(said)
    return Outcome(
        frozenset(layer for layer in LAYERS if layer in found["layers"]), tuple(found["possible"])
    )
