"""What a stack says of the engine that its stylizers run on, where there was a choice."""

from __future__ import annotations

import json


def engine_sentence(output: str) -> str:
    """Return a sentence on what a stylizer's log says of its engine.

    Empty where no GPU was considered, or nothing is said yet.
    """
    # With it comes all that logs are written with: nothing to wait for before a stack starts.
    from shared.telemetry.logs import ENGINE_CHOSEN

    line = next((line for line in output.splitlines() if f'"{ENGINE_CHOSEN}"' in line), None)
    if line is None:
        return ""
    chosen = json.loads(line)
    if chosen["device"] != "cpu":
        return f"painting on the GPU: {chosen['device']}, {chosen['precision']}"
    causes = chosen["passed_over"]
    return f"painting on the processor, not on a GPU: {causes[0]}" if causes else ""
