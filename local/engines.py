"""Says which engine a stack's stylizers run on, if there was a choice."""

from __future__ import annotations

import json


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
