"""The layers of the sandbox that contains a compromised decoder."""

from __future__ import annotations

from typing import Final, Literal, get_args

Layer = Literal["limits", "landlock", "seccomp"]
"""Resource limits; the kernel's access control for files; its filter of system calls."""

LAYERS: Final[tuple[Layer, ...]] = get_args(Layer)
