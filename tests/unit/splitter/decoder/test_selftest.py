"""A splitter finds out at start whether decoders can be confined, by trying."""

from __future__ import annotations

import pytest
from decoder_child import stand_in_server
from prometheus_client import CollectorRegistry

from shared.contracts.errors import ConfigurationError
from splitter.decoder.confinement import available
from splitter.decoder.forks import ForkServer
from splitter.decoder.selftest import Outcome, check_sandbox
from splitter.metrics import SplitterMetrics
from splitter.protection import LAYERS


async def trial(*layers: str, required: bool) -> Outcome:
    """The outcome on a kernel that has lost ``layers``."""
    lost = {
        "landlock": "landlock.version = lambda: 0\n",
        "seccomp": "seccomp.is_supported = lambda: False\n",
    }
    code = "from splitter.decoder import landlock, seccomp, trial\n"
    code += "".join(lost[layer] for layer in layers) + "trial.main()"
    async with stand_in_server(code) as server:
        return await check_sandbox(server, required=required)


@pytest.mark.skipif(available() != frozenset(LAYERS), reason="this machine lacks layers")
async def test_nothing_forbidden_succeeds_in_the_sandbox():
    # Given what decoders are really forked from
    async with ForkServer() as server:
        assert await check_sandbox(server, required=True) == Outcome(frozenset(LAYERS), ())
    # And each layer closes by itself what is its own
    alone = await trial("seccomp", required=False)
    assert alone.layers == {"limits", "landlock"}
    assert not {"read files", "create files"} & set(alone.possible)
    assert "open sockets" in alone.possible


@pytest.mark.parametrize(
    ("layer", "needs"),
    [("landlock", "Landlock (Linux 5.13 or later)"), ("seccomp", "seccomp filters")],
)
async def test_a_splitter_that_must_confine_and_cannot_does_not_start(layer, needs):
    with pytest.raises(ConfigurationError) as caught:
        await trial(layer, required=True)
    (problem,) = caught.value.problems
    assert f"the kernel lacks {needs}" in problem
    assert "set SANDBOX=optional" in problem
    # Left optional, it starts and says what is missing
    outcome = await trial(layer, required=False)
    assert layer not in outcome.layers


async def test_lower_limits_of_the_user_stay_in_force():
    code = (
        "import resource as r\n"
        "from splitter.decoder import trial\n"
        "for kind, most in (r.RLIMIT_FSIZE, 1 << 20), (r.RLIMIT_CPU, 60), (r.RLIMIT_AS, 1 << 30):\n"
        "    r.setrlimit(kind, (most, most))\n"
        "trial.main()"
    )
    async with stand_in_server(code) as server:
        assert "limits" in (await check_sandbox(server, required=False)).layers


async def test_a_trial_that_fails_once_it_is_confined_names_the_cause():
    code = "from splitter.decoder import trial\ntrial.possible_acts = lambda: 1 / 0\ntrial.main()"
    async with stand_in_server(code) as server:
        with pytest.raises(ConfigurationError, match="ZeroDivisionError: division by zero"):
            await check_sandbox(server, required=False)


async def test_a_trial_that_fails_is_a_sentence():
    async with stand_in_server("raise SystemExit('broken')") as server:
        with pytest.raises(ConfigurationError, match="test of the sandbox failed: broken"):
            await check_sandbox(server, required=False)


def test_the_sandbox_layers_in_force_are_a_metric():
    registry = CollectorRegistry()
    SplitterMetrics(registry).sandbox(frozenset({"limits", "seccomp"}))
    values = {
        layer: registry.get_sample_value("splitter_sandbox_layers", {"layer": layer})
        for layer in LAYERS
    }
    assert values == {"limits": 1, "landlock": 0, "seccomp": 1}
