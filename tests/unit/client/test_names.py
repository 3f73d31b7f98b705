"""Names of uploads: characters that storage would change are replaced before the id is derived."""

from __future__ import annotations

from itertools import islice

import pytest

from client.names import check_upload_name, numbered, upload_name
from shared.contracts.errors import ConfigurationError


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("beach.mp4", "beach.mp4"),
        ("a [x] #1 100%?.mp4", "a [x] #1 100%?.mp4"),
        ("back\\slash.mp4", "back_slash.mp4"),
        ("line\nbreak.mp4", "line_break.mp4"),
        ("ends with a dot.", "ends with a dot_"),
        ("bytes \udcff.mp4", "bytes _.mp4"),
        ("日本語.mp4", "日本語.mp4"),
    ],
)
def test_an_upload_is_called_what_storage_can_keep(file_name: str, name: str) -> None:
    assert upload_name(file_name) == name
    check_upload_name(name)


def test_names_that_are_taken_are_numbered() -> None:
    assert [*islice(numbered("a.b.mp4"), 3)] == ["a.b.mp4", "a.b-2.mp4", "a.b-3.mp4"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "a folder or file is empty"),
        ("/x.mp4", "a folder or file is empty"),
        ("a//x.mp4", "a folder or file is empty"),
        ("folder/", "a folder or file is empty"),
        ("a\\b.mp4", "try 'a_b.mp4'"),
        ("a/../b.mp4", "try 'a/_/b.mp4'"),
        ("x" * 1025, "at most 1024 characters"),
    ],
)
def test_a_name_that_no_upload_can_have_is_a_sentence(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        check_upload_name(name)
