"""Whatever a decoder's process does, it is named, it is gone, and its parent is unharmed."""

from __future__ import annotations

import io
import resource

import pytest
from decoder_child import Upload, fork_server, forks_of, last_words, open_files, refusal

from splitter.decoder.wire import encode_message
from splitter.media.split import SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "DECODER_CRASHED"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "DECODER_OUT_OF_MEMORY"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", "DECODER_OUT_OF_TIME"),
        ("sys.exit(3)", "DECODER_CRASHED"),
        ("pass", "DECODER_CRASHED"),
        ("os.write(1, b'this is no message at all')", "DECODER_CRASHED"),
        ("os.write(1, bytes([0, 0, 0, 2, 0, 0, 0, 0]) + b'{}')", "DECODER_CRASHED"),
        ("os.write(1, bytes([255] * 8)); time.sleep(60)", "DECODER_CRASHED"),
        ("time.sleep(60)", "DECODER_STALLED"),
        ("os.write(1, bytes([0, 0, 0, 9])); time.sleep(60)", "DECODER_STALLED"),
        ("os.close(0); time.sleep(60)", "DECODER_STALLED"),
    ],
)
async def test_a_child_that_goes_wrong_is_named_and_gone(stand_in, side, code, expected):
    stand_in(code)
    before = open_files()
    # Whoever ends has all the time for it; whoever does not is waited for.
    deadline_s = 1.0 if expected == "DECODER_STALLED" else 60.0
    assert (await refusal(Upload(b"x"), side, frame_deadline_s=deadline_s)).code == expected
    assert forks_of(fork_server()) == []
    assert open_files() == before


async def test_a_crash_leaves_its_last_words_in_the_log(stand_in, side):
    stand_in("raise RuntimeError('the decoder lost its head')")
    assert "RuntimeError: the decoder lost its head" in await last_words(side)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 2**31), (0, 2**20 + 1), (0, 0), (3 * 2**20, 2**20 + 1), (10**12, 100), (2**64 - 1, 1)],
)
async def test_a_child_that_asks_for_what_it_must_not_have_gets_nothing(
    stand_in, side, offset, length
):
    upload = Upload(bytes(4 * 2**20))
    stand_in(
        "s = socket.socket(fileno=0); s.recv(100000)\n"
        f"s.sendall(({offset}).to_bytes(8, 'big') + ({length}).to_bytes(4, 'big'))\n"
        "s.recv(4)"
    )
    found = await refusal(upload, side)
    assert found.code == "DECODER_CRASHED"
    assert f"asked for {length} bytes from {offset} of an upload" in found.message
    assert upload.reads == []


async def test_a_child_that_reads_forever_is_ended(stand_in, side):
    # Given a child that makes nothing of what it reads, and so never stalls
    upload = Upload(bytes(2**20))
    stand_in(
        "s = socket.socket(fileno=0); s.recv(100000)\n"
        "while True:\n"
        "    s.sendall(bytes(8) + (2**20).to_bytes(4, 'big'))\n"
        "    left = 2**20 + 4\n"
        "    while left: left -= len(s.recv(left))\n"
    )
    found = await refusal(upload, side)
    assert found.code == "DECODER_CRASHED"
    assert "64 times" in found.message
    assert len(upload.reads) == 128


async def test_what_a_child_sends_without_end_takes_no_memory(stand_in, side, make):
    # Given a child that describes a small video and then claims a chunk of 512 MiB
    source = next(split(io.BytesIO(make.Video(frames=2).make()), SplitOptions(), side))
    message = encode_message(source)
    stand_in(
        "s = socket.socket(fileno=0); s.recv(100000)\n"
        f"os.write(1, {message!r})\n"
        "os.write(1, (2).to_bytes(4, 'big') + (2**29).to_bytes(4, 'big'))\n"
        "while True: os.write(1, bytes(65536))\n"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = await refusal(Upload(b"x"), side)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # Then it is ended before that is read
    assert found.code == "DECODER_CRASHED"
    assert "too long" in found.message
    assert grown < 32 * 1024
