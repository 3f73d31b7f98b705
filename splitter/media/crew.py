"""The threads that work on one split."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Final, Self, TypeVar

T = TypeVar("T")


class Crew:
    """``size`` threads, or none beside the caller's if ``size`` is 1."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Start all threads now: in the sandbox none can be started later."""
        if self.size > 1:
            self._pool = ThreadPoolExecutor(self.size, "split")
            running = Barrier(self.size)
            # The pool starts a thread for each task that finds none idle.
            for started in [self._pool.submit(running.wait) for _ in range(self.size)]:
                started.result()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def submit_to_all(self, work: Callable[[], T]) -> list[Future[T]]:
        """Call ``work`` once per thread."""
        assert self._pool is not None
        return [self._pool.submit(work) for _ in range(self.size)]


ALONE: Final = Crew(1)
"""The caller's thread alone."""
