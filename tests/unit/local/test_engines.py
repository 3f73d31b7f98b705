"""What a stack says about its engine is what a stylizer has logged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from command_lines import refused
from structlog.types import EventDict

from local.children import painting_settings
from local.engines import engine_sentence
from stylizer.attempts import segments
from stylizer.painting import precision
from stylizer.settings import PaintingSettings


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return what gives the log of a stylizer's choice."""
    records: list[str] = []

    def keep(_logger: object, _method: str, record: EventDict) -> str:
        records.append(json.dumps(record))
        raise structlog.DropEvent

    # Whatever an earlier test has set for all loggers, this one keeps every level
    logger = structlog.wrap_logger(
        None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    monkeypatch.setattr(segments, "log", logger)

    def settled() -> str:
        segments.settle(PaintingSettings(engine="auto", precision="fp32"))
        assert records
        return "\n".join(records)

    return settled


def test_a_machine_without_a_gpu_says_nothing(logged: Callable[[], str]) -> None:
    assert not engine_sentence(logged())
    assert not engine_sentence("not started yet")


def test_a_gpu_that_was_passed_over_is_reported_with_the_cause(
    logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_gpu_provider", lambda: True)
    told = engine_sentence(logged())
    assert told.startswith("painting on the processor, not on a GPU: ENGINE=cuda: ")


def test_a_gpu_that_paints_is_named() -> None:
    record = {"event": "engine chosen", "device": "cuda", "precision": "fp16", "passed_over": []}
    assert engine_sentence(json.dumps(record)) == "painting on the GPU: cuda, fp16"


def test_a_stack_with_wrong_settings_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in (("ENGINE", "abacus"), ("PRECISION", "fp8"), ("SEGMENT_ENCODER", "x264")):
        monkeypatch.setenv(name, value)
    for command in ("up", "run"):
        said = refused(capsys, command, "--quiet", "--dir", tmp_path / "stack")
        assert said.splitlines() == [
            "stylestream: ENGINE must be one of auto, cpu, cuda, tensorrt, not 'abacus'",
            "stylestream: PRECISION must be one of auto, bf16, fp32, fp16, not 'fp8'",
        ]
    assert not (tmp_path / "stack").exists()


def test_a_gpu_that_only_the_environment_names_is_missed_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ENGINE", "cuda")
    said = refused(capsys, "up", "--quiet", "--dir", tmp_path / "stack")
    assert said.startswith("stylestream: ENGINE=cuda: ")
    assert not (tmp_path / "stack").exists()


def test_stylizers_on_one_machine_may_encode_on_its_gpu_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEGMENT_ENCODER", raising=False)
    assert painting_settings()["SEGMENT_ENCODER"] == "auto"
    monkeypatch.setenv("SEGMENT_ENCODER", "x264")
    assert painting_settings()["SEGMENT_ENCODER"] == "x264"
