"""What a benchmark tells."""

from __future__ import annotations

from pathlib import Path

from bench import markdown
from bench.peers import Speed
from bench.peers import table as peers_table
from bench.pipeline import PipelineFigures, ProcessCost
from bench.report import Figures, table


def costs(scale: float) -> dict[str, ProcessCost]:
    return {
        "stylizer-1": ProcessCost(20 * scale, 300 * scale, 250 * scale),
        "client": ProcessCost(1.0, 900.0, 800.0),
    }


FIGURES = Figures(
    machine="a machine",
    taken_at="2026-01-01",
    style="udnie",
    stylizers=1,
    device="cpu",
    precision="bf16",
    inference_frames_per_second=100.0,
    pipeline=PipelineFigures(120, 2.0, 60.0, 0.7, 0.2, costs(1), 3.0, 0.1, costs(2)),
    ratio=0.6,
    media=[],
    scale_out=[],
)


def test_memory_is_told_for_both_sizes_and_not_of_the_benchmark_itself() -> None:
    rows = table(FIGURES).splitlines()
    assert "| stylizer-1 | 20.00 | 40.00 | 300, 250 | 600, 500 |" in rows
    assert "| client | 1.00 | 1.00 |  |  |" in rows
    assert "| all | 21.00 | 41.00 | | |" in rows


def test_the_network_of_another_package_is_compared_in_a_table_of_its_own() -> None:
    speeds = [Speed("udnie", 100.0, 18.0), Speed("another 0.1.0", 20.0, 90.0)]
    assert peers_table(speeds).splitlines()[-1] == "| another 0.1.0 | 20.0 | 90.0 | 5.0 |"


def test_measured_anew_a_document_keeps_what_is_not_of_the_command(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    markdown.put(document, "bench", "one", "| 1 |")
    markdown.put(document, "compare", "two", "| 2 |")
    document.write_text(document.read_text() + "\nAnd this.\n")
    markdown.put(document, "bench", "three", "| 3 |")
    text = document.read_text()
    assert text.startswith("# Compared\n\n<!-- bench")
    assert [f"| {number} |" in text for number in (1, 2, 3)] == [False, True, True]
    assert "Measured by `three`." in text
    assert text.endswith("\nAnd this.\n")
