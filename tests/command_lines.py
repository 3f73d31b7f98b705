"""Command lines that are refused."""

from __future__ import annotations

import pytest

from cli.main import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """Run a command that must end with an exit code and no word on stdout; return its stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (code, "")
    return told.err
