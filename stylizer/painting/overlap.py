"""Runs the stages of a chain concurrently: a thread for each, with a small queue in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

_END: Final = object()


@contextmanager
def ahead(items: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Compute ``items`` in a thread of its own, at most ``depth`` of them ahead of the reader.

    Order is kept, and an exception of ``items`` is raised in the reader. Leaving the context stops
    the thread, even if the reader gave up half way.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stopped = threading.Event()
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # raised again in the reader's thread
            failure.append(error)
        finally:
            ready.put(_END)

    def read() -> Iterator[T]:
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stopped.set()
        while thread.is_alive():
            _discard_one(ready)
        thread.join()


def _discard_one(ready: queue.Queue[object]) -> None:
    try:
        ready.get(timeout=0.01)
    except queue.Empty:
        return
