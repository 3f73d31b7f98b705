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
    "I2": "a chunk or segment is written once; repeating the work yields the same bytes",
    "I3": "a result is published only when every frame is present, with its timestamp",
    "I4": "a job has at most one result, which may be renamed; its outcome never changes",
    "I5": "once all work is done, the checkpoints have reached the last events",
    "I6": (
        "a chunk is attempted a limited number of times; then a dead letter and the job report it"
    ),
    "ALIKE": "a result is painted in one version of its style",
    "END": "every upload is concluded, and fails only for a known cause",
    "TOLD": "the end of every job is announced, as in its record",
    "TIDY": "an ended job leaves nothing but its record, in storage and in the work folders, and a "
    "deleted one nothing",
    "SHOWN": "a job's record counts exactly the frames that are painted",
    "LEAN": "a finished chunk is not sent to the stylizers again",
    "PROMPT": "without a fault, every job progresses and its record keeps up",
    "FAIR": "a job never has more chunks waiting than its window allows",
    "SMALL": "no service uses more memory than its limit",
}
_SHOWN: Final = 20

_METHOD: Final = """\
Each run uploads two to five small clips, in two styles, into a whole stack on one machine, with
two splitters of one slot each, two or three stylizers and two assemblers, and injects faults at
points of the work chosen from a seed, several of them at once. Their kinds are taken from shuffled
decks, so that every kind is injected equally often. The services reach the hubs, the storage and
the topic through proxies that cut, hold, silence, slow down and refuse connections, and record
every request. Users cancel and delete jobs, change and delete uploads, and upload videos again
while their jobs are in progress. Work folders are on a disk of 16 MiB, which can be filled, where
the user may mount one; a clock can be set wrong where libfaketime is installed.

The checks use the events in the hubs, the requests to storage and the results, never what the
services report about themselves. Every result must be byte-identical to that of a run without
faults whose video was cut into the same chunks and painted in the same version of the style, which
in turn is compared with its source by frame, by timestamp and by sound packet.

What this does not show: the loss of a disk, faults of the real Event Hubs and storage services,
which these stand-ins do not have, and `SIGKILL` of Azurite, which keeps metadata in memory between
saves and guarantees nothing in that case (it is ended by `SIGTERM`; the broker is killed).
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
        f"| runs that had not settled within their time limit | {len(findings.unsettled)} |",
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
        f"| work begun redundantly | {figures.beginnings / chunks - 1:.1%} |",
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
