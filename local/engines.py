"""Checks what a stack's stylizers are told to run on, and says what they chose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast, get_args

from local.children import PAINTING

if TYPE_CHECKING:
    from stylizer.painting.sessions import Device


def find_painting_problems(settings: Mapping[str, str]) -> list[str]:
    """Return why stylizers cannot start with ``settings``: wrong values, GPUs that cannot work.

    Whether a GPU does work is found out by the stylizers.
    """
    asked = {name: settings[name] for name in PAINTING if settings.get(name, "auto") != "auto"}
    if not asked:
        return []
    # Imported late: ONNX Runtime comes with them.
    from stylizer.painting.sessions import find_device_problem
    from stylizer.settings import PaintingSettings

    problems = []
    for name, value in asked.items():
        allowed = get_args(PaintingSettings.model_fields[name.lower()].annotation)
        if value not in allowed:
            problems.append(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    if (engine := asked.get("ENGINE")) in {"cuda", "tensorrt"}:
        problem = find_device_problem(cast("Device", engine))
        problems += [problem] if problem else []
    return problems


def engine_sentence(output: str) -> str:
    """Return a sentence about the engine that a stylizer's log names.

    Empty if no GPU was considered, or if the log does not name the engine yet.
    """
    # Imported late: all of logging comes with it, and a stack's start should not wait for that.
    from shared.telemetry.logs import ENGINE_CHOSEN

    line = next((line for line in output.splitlines() if f'"{ENGINE_CHOSEN}"' in line), None)
    if line is None:
        return ""
    chosen = json.loads(line)
    if chosen["device"] != "cpu":
        return f"painting on the GPU: {chosen['device']}, {chosen['precision']}"
    causes = chosen["passed_over"]
    return f"painting on the processor, not on a GPU: {causes[0]}" if causes else ""
