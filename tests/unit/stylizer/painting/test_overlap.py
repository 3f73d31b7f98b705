"""Overlapping stages keep order, pass on failures, and leave no thread behind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from stylizer.painting.overlap import ahead


def test_items_come_in_order() -> None:
    with ahead(range(100), 2) as items:
        assert list(items) == list(range(100))


def test_the_producer_runs_while_the_reader_is_busy_but_no_further_than_the_depth() -> None:
    made: list[int] = []
    third = threading.Event()

    def produce() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    with ahead(produce(), 2) as items:
        assert next(items) == 0
        assert third.wait(5), "nobody read, yet the producer has to go on"
        assert len(made) <= 4


def test_a_failure_reaches_the_reader_after_the_items_before_it() -> None:
    def produce() -> Iterator[int]:
        yield 1
        raise ValueError("no second")

    with ahead(produce(), 4) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="no second"):
            next(items)


def test_a_reader_that_gives_up_leaves_no_thread() -> None:
    before = threading.active_count()
    with ahead(itertools.count(), 1) as items:
        assert next(items) == 0
    assert threading.active_count() == before
