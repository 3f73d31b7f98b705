"""Runs exported networks like the stylizer on a CPU."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from training.canvas import UNIT
from training.graph import CANVAS
from training.network import MULTIPLE
from training.steadiness import Frames, Paint


def painter(
    file: Path | bytes,
    threads: int = 1,
    canvas: tuple[float, float] = (0.0, 0.0),
    grid: tuple[int, int] = (0, 0),
) -> Paint:
    """Return a painter of frames (N, 3, H, W) uint8 with the network.

    ``canvas`` is their place on the canvas, in pixels down and across; older networks have none.
    ``grid`` is the pixels by which they have moved on the network's grid.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(file, options, ["CPUExecutionProvider"])

    top, left = (way % MULTIPLE for way in grid)
    room = [(0, 0), (0, 0), (top, MULTIPLE - top), (left, MULTIPLE - left)]
    place = (UNIT * (np.array([canvas]) - (top, left))).round().astype(np.int32)
    given = {each.name: place for each in session.get_inputs() if each.name == CANVAS}

    def paint(frame: Frames) -> Frames:
        return session.run(None, {"frames": frame, **given})[0]

    def paint_moved(frame: Frames) -> Frames:
        height, width = frame.shape[2:]
        painted = paint(np.pad(frame, room, mode="edge"))
        return painted[:, :, top : top + height, left : left + width]

    return paint if grid == (0, 0) else paint_moved


def version(file: Path) -> str:
    """Return the network's version, which is in its metadata since the second one."""
    return f"version {metadata(file).get('network', '1')}"


def machine() -> str:
    """Describe the processor and its vector instructions."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if platform.system() == "Linux" else ""
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {name.strip(): fact.strip() for name, fact in facts.items()}
    name = facts.get("model name") or platform.processor() or platform.machine()
    known = [word for word in ("avx2", "avx512f", "avx512_vnni") if word in facts.get("flags", "")]
    return f"an {name} ({', '.join(known)})" if known else name


def metadata(file: Path) -> dict[str, str]:
    """Return a network's metadata."""
    return {entry.key: entry.value for entry in onnx.load(file).metadata_props}
