"""A splitter finds out at start whether decoders can be confined, by trying."""

from __future__ import annotations

import pytest
from decoder_child import fork_server

from shared.contracts.errors import ConfigurationError
from splitter.decoder.confinement import available
from splitter.decoder.selftest import Outcome, check_sandbox
from splitter.protection import LAYERS

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOST = {
    "landlock": "landlock.version = lambda: 0\n",
    "seccomp": "seccomp.is_supported = lambda: False\n",
}


async def trial(stand_in, *layers: str, required: bool) -> Outcome:
    """The outcome on a kernel that has lost ``layers``."""
    code = "from splitter.decoder import landlock, seccomp, trial\n"
    stand_in(code + "".join(LOST[layer] for layer in layers) + "trial.main()")
    return await check_sandbox(fork_server(), required=required)


@pytest.mark.skipif(available() != frozenset(LAYERS), reason="this machine lacks layers")
async def test_nothing_forbidden_succeeds_in_the_sandbox(stand_in):
    # Given what decoders are really forked from
    outcome = await check_sandbox(fork_server(), required=True)
    assert outcome == Outcome(frozenset(LAYERS), ())
    # And each layer closes by itself what is its own
    alone = await trial(stand_in, "seccomp", required=False)
    assert alone.layers == {"limits", "landlock"}
    assert not {"read files", "create files"} & set(alone.possible)
    assert "open sockets" in alone.possible


@pytest.mark.parametrize(
    ("layer", "needs"),
    [("landlock", "Landlock (Linux 5.13 or later)"), ("seccomp", "seccomp filters")],
)
async def test_a_splitter_that_must_confine_and_cannot_does_not_start(stand_in, layer, needs):
    with pytest.raises(ConfigurationError) as caught:
        await trial(stand_in, layer, required=True)
    (problem,) = caught.value.problems
    assert f"the kernel lacks {needs}" in problem
    assert "set SANDBOX=optional" in problem
    # Left optional, it starts and says what is missing
    outcome = await trial(stand_in, layer, required=False)
    assert layer not in outcome.layers


async def test_lower_limits_of_the_user_stay_in_force(stand_in):
    stand_in(
        "import resource as r\n"
        "from splitter.decoder import trial\n"
        "for kind, most in (r.RLIMIT_FSIZE, 1 << 20), (r.RLIMIT_CPU, 60), (r.RLIMIT_AS, 1 << 30):\n"
        "    r.setrlimit(kind, (most, most))\n"
        "trial.main()"
    )
    assert "limits" in (await check_sandbox(fork_server(), required=False)).layers


async def test_a_trial_that_fails_once_it_is_confined_names_the_cause(stand_in):
    stand_in(
        "from splitter.decoder import trial\ntrial.possible_acts = lambda: 1 / 0\ntrial.main()"
    )
    with pytest.raises(ConfigurationError, match="ZeroDivisionError: division by zero"):
        await check_sandbox(fork_server(), required=False)


async def test_a_trial_that_fails_is_a_sentence(stand_in):
    stand_in("raise SystemExit('broken')")
    with pytest.raises(ConfigurationError, match="test of the sandbox failed: broken"):
        await check_sandbox(fork_server(), required=False)
