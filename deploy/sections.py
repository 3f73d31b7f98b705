"""Replaces the generated sections of Markdown files, each between two comments::

<!-- NAME: written by COMMAND -->
<!-- end of NAME -->
"""

from __future__ import annotations

import re


def with_section(document: str, name: str, content: str) -> str:
    """Return the document with ``content``, which ends with a newline, as its section ``name``.

    Raises:
        ValueError: the document does not have exactly one such section.
    """
    section = rf"(<!-- {name}: written by .*? -->\n).*?(<!-- end of {name} -->\n)"
    replaced, count = re.subn(
        section, lambda marks: f"{marks[1]}\n{content}\n{marks[2]}", document, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{count} sections are called {name}")
    return replaced
