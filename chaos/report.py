"""Writes a campaign's findings as a page of documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from chaos.campaign import Findings
from chaos.figures import percentile
from chaos.plan import KINDS
from chaos.settings import SETTINGS
from local.machine import describe_machine

_PROMISES: Final = {
    "I1": "a checkpoint never passes unfinished work",
    "I2": "chunks and segments are written once; doing one twice gives the same bytes",
    "I3": "a result is published only when every frame is there, at its time",
    "I4": "at most one result a job; how a job has ended never changes, though its result may move",
    "I5": "when the work is done, no event is left behind the checkpoints",
    "I6": "a chunk is tried a bounded number of times, then a dead letter and the job tell of it",
    "ALIKE": "a result is painted by one version of its style",
    "END": "every upload comes to an end, and fails only for a cause",
    "TOLD": "the end of every job is announced, as its record has it",
    "TIDY": "an ended job leaves its record alone, in storage and in the work folders",
    "SHOWN": "a job's record counts what is painted, neither more nor less",
    "LEAN": "a chunk that is finished is not sent to the stylizers again",
    "PROMPT": "no job stands still, and no record falls behind, while nothing is broken",
    "FAIR": "a job never has more chunks waiting than its window has room for",
    "SMALL": "no service takes more memory than its share",
}
_SHOWN: Final = 20

_METHOD: Final = """\
Each run uploads two to five small clips, in two styles, into a whole stack on one machine, with
two splitters of one slot each, two or three stylizers and two assemblers, and commits faults at
points of the work drawn from a seed, several of them at once. They are dealt from shuffled decks of
all kinds, so that every kind comes up equally often. The services reach the hubs, the storage and
the topic through proxies that cut, hold, silence and slow down connections, turn them away, and
note every request. Work folders are on a disk of 16 MiB, which can be filled, where the user may
mount one; a clock can be put wrong where libfaketime is installed.

The verdict comes from outside: from the events in the hubs, the requests to storage and the
results, never from what the services say about themselves. Every result must be byte-identical to
that of a run without faults whose video was cut into chunks alike and painted in the same version
of the style, which in turn is compared with its source frame by frame, time by time, sound packet
by sound packet.

What this does not show: the loss of a disk, faults of the real Event Hubs and storage services,
which these stand-ins do not have, and `SIGKILL` of Azurite, which keeps metadata in memory between
saves and promises nothing then (it is ended by `SIGTERM`; the broker is killed).
"""


def page(findings: Findings) -> str:
    """Return the whole page in Markdown."""
    return "\n".join(
        [
            "# Reliability",
            "",
            f"Measured by `stylestream chaos --minutes {findings.seconds / 60:.0f} "
            f"--seed {findings.seed} --report docs/reliability.md`: {describe_machine()}; "
            f"{datetime.now(UTC).date().isoformat()}.",
            "",
            _METHOD,
            *_summary(findings),
            "",
            "## Promises",
            "",
            *_promises(findings),
            "",
            "## Faults",
            "",
            "| fault | times |",
            "|---|---|",
            *(f"| {kind} | {findings.faults[kind]} |" for kind in KINDS),
            f"| all | {findings.faults.total()} |",
            "",
        ]
    )


def _summary(findings: Findings) -> list[str]:
    figures = findings.figures
    chunks = max(1, figures.chunks)
    return [
        "| figure | value |",
        "|---|---|",
        f"| runs | {findings.runs} on {findings.stacks} stacks, "
        f"{findings.seconds / 60:.0f} minutes |",
        f"| faults | {findings.faults.total()} |",
        f"| jobs | {figures.jobs} |",
        f"| chunks | {figures.chunks} |",
        f"| violations | {len(findings.violations)} |",
        f"| runs that had not settled when their patience ended | {len(findings.unsettled)} |",
        f"| stacks that could not be judged | {len(findings.unjudged)} |",
        f"| kill of a stylizer to the next chunk begun elsewhere | {_times(figures.taken_up_s)} |",
        f"| kill of a stylizer to the next chunk announced | {_times(figures.finished_s)} |",
        f"| an upload to its job's record | {_spread(figures.opened_s)} |",
        f"| an upload to its job's end | {_spread(figures.ended_s)} |",
        *(
            f"| most memory of a process: {service} | {peak / 2**20:.0f} MiB |"
            for service, peak in figures.peaks.items()
        ),
        f"| chunks begun more than once | {figures.begun_again / chunks:.1%} |",
        f"| work begun in vain | {figures.beginnings / chunks - 1:.1%} |",
        f"| checkpoints written over later ones | {figures.checkpoints_back} |",
        f"| chunks painted to the end twice | {figures.painted_again / chunks:.1%} |",
        "",
        "Recovery depends on how soon a silent owner's partitions are free: here after "
        f"{SETTINGS['OWNERSHIP_EXPIRY_S']} s, looked at every "
        f"{SETTINGS['LOAD_BALANCING_INTERVAL_S']} s (settings `OWNERSHIP_EXPIRY_S` and "
        "`LOAD_BALANCING_INTERVAL_S`).",
    ]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "not seen"
    return f"p50 {percentile(values, 0.5):.1f} s, most {max(values):.1f} s ({len(values)} jobs)"


def _times(values: Sequence[float]) -> str:
    if not values:
        return "not seen"
    p50, p99 = (percentile(values, share) for share in (0.5, 0.99))
    return f"p50 {p50:.1f} s, p99 {p99:.1f} s ({len(values)} partitions)"


def _promises(findings: Findings) -> list[str]:
    counts = Counter(violation.promise for _, violation in findings.violations)
    lines = ["| promise | violations |", "|---|---|"]
    lines += [
        f"| {name}: {sentence} | {count} |"
        for name, sentence in _PROMISES.items()
        for count in [sum(n for promise, n in counts.items() if promise == name)]
    ]
    if findings.violations:
        lines += ["", "Seen:", ""]
        lines += [f"- seed {seed}: {violation}" for seed, violation in findings.violations[:_SHOWN]]
    return lines
