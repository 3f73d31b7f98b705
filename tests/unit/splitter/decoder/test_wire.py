"""Messages survive the wire, and what is none is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from splitter.decoder.wire import GarbageError, Refusal, decode_message, encode_message
from splitter.media.split import SplitOptions, split


def test_messages_survive_the_wire(make):
    events = list(split(io.BytesIO(make.Video(frames=3).make()), SplitOptions(), Path(os.devnull)))
    for event in [*events, Refusal("CODE", "a sentence")]:
        message = encode_message(event)
        header, payload = (int.from_bytes(message[i : i + 4], "big") for i in (0, 4))
        body = message[8 : 8 + header]
        assert len(message) == 8 + header + payload
        assert decode_message(body, message[8 + header :]) == event


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"chunk":null}', b'{"chunk":{}}'])
def test_what_is_no_message_is_garbage(body):
    with pytest.raises(GarbageError):
        decode_message(body, b"")
