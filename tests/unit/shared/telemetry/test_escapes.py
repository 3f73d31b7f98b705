"""Other people's names on terminals and in logs: they move no cursor and start no line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import logs
from shared.telemetry.escapes import escaped, escaped_json

HOSTILE = 'a\nb\r\x1b[31mc\x9b2Jd\u202ee\udcfff"\\'


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_escaped_is_printable_and_tells_texts_apart(text: str) -> None:
    assert escaped(text).isprintable()
    assert (escaped(text) == text) == text.isprintable()
    line = escaped_json(json.dumps({"name": text}, ensure_ascii=False))
    assert line.isprintable()
    # JSON knows a pair of halves for the letter that they make together.
    assert json.loads(line) == json.loads(json.dumps({"name": text}))


@contextmanager
def logging_in(style: str) -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers, root.level
    with redirect_stderr(stream):
        logs.configure("INFO", style, "splitter")
        yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_log_line_is_one_line_whatever_a_name_holds(style: str) -> None:
    with logging_in(style) as written:
        structlog.get_logger().info("upload ignored", video=HOSTILE, more={"names": [HOSTILE]})
        logging.getLogger("local.watcher").info("announced upload %s", HOSTILE)

    lines = written.getvalue().split("\n")
    assert len(lines) == 3, "two lines and their ends"
    for line in lines:
        ours = line.replace("\x1b[0m", "").replace("\x1b[", "")  # the console's own colours
        assert ours.isprintable()
        assert "\x1b[31mc" not in line
    if style == "json":
        assert json.loads(lines[0])["video"] == HOSTILE


def test_a_traceback_keeps_its_lines_and_nothing_else() -> None:
    with logging_in("console") as written:
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            structlog.get_logger().exception("split failed")
    text = written.getvalue()
    assert "Traceback" in text
    assert "\x1b[31mc" not in text
    assert "\x9b" not in text
