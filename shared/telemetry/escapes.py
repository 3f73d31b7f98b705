"""Escapes untrusted text, such as names of uploads, so that a terminal shows it safely.

A control character in a name could move the cursor, colour what follows, or begin a forged line; a
mark that changes the direction of writing could make a name look like another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def escaped(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` with unprintable characters escaped, except for those in ``keep``.

    >>> escaped("new\nline \x1b[31m")
    'new\\nline \\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else _written_out(letter)
        for letter in text
    )


def escaped_json(line: str) -> str:
    r"""Return a line of JSON with unprintable characters escaped; it still means the same.

    >>> escaped_json('{"name": "\x9b31m"}')
    '{"name": "\\u009b31m"}'
    """
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else _utf16(letter) for letter in line)


def escaped_values(value: Any) -> Any:
    """Return a value of a log line with every string in it escaped, however deeply nested."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {escaped_values(key): escaped_values(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [escaped_values(one) for one in value]
    return value


def _written_out(letter: str) -> str:
    # An undecodable byte of a file's name is a lone surrogate, which cannot be encoded.
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def _utf16(letter: str) -> str:
    code = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[place : place + 4]}" for place in range(0, len(code), 4))
