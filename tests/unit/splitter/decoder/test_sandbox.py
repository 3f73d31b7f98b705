"""A hostile or broken upload costs one child process, and is reported by name."""

from __future__ import annotations

import asyncio
import io
import signal
from dataclasses import replace

import psutil
import pytest
from decoder_child import (
    Upload,
    collect,
    fork_server,
    forks_of,
    last_words,
    open_files,
    refusal,
    stand_in_server,
    threads_of,
)
from videos import LARGE_FRAMES, large_video

from shared.contracts.errors import SourceRefused
from splitter.decoder import process
from splitter.decoder.process import split_in_child
from splitter.decoder.wire import DECODE, Job, encode_message
from splitter.media.limits import Limits
from splitter.media.split import SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("threads", [1, 4])
async def test_the_child_gives_what_splitting_in_place_gives(make, side, tmp_path, threads):
    # Given a video with sound
    upload = Upload(make.Video(frames=20, sounds=[make.Sound()]).make())
    # When it is split in a child and in this process
    through_child = await collect(upload, side, threads=threads)
    here = list(split(io.BytesIO(upload.data), SplitOptions(chunk_frames=8), tmp_path / "here"))
    # Then there is no difference
    assert through_child == here
    assert side.read_bytes() == (tmp_path / "here").read_bytes()


async def test_forks_of_one_process_share_nothing_but_what_it_had_loaded(make, side, tmp_path):
    # Given two decoders at the same time, one of which waits for its consumer
    upload = Upload(make.Video(frames=20).make())
    long = Upload(large_video())
    options = SplitOptions(chunk_frames=4)
    server = fork_server()
    (tmp_path / "other").mkdir()
    stuck = split_in_child(
        server, long.read, Job(len(long.data), options, tmp_path / "other" / "side")
    )
    await anext(stuck)
    whole = split_in_child(server, upload.read, Job(len(upload.data), options, side))
    assert [event async for event in whole][-1].frames == 20
    # Then the end of one is no end of the other, and each has its three files alone
    (fork,) = forks_of(server)
    # Its own, and the two that it has made of them
    assert open_files(fork) <= 5
    await stuck.aclose()


async def test_a_fork_server_that_was_killed_is_started_again(make, side):
    # Given a fork server that dies under a split
    upload = Upload(large_video())
    options = SplitOptions(chunk_frames=4)
    server = fork_server()
    events = split_in_child(server, upload.read, Job(len(upload.data), options, side))
    await anext(events)
    server._process.kill()
    with pytest.raises(SourceRefused) as caught:
        [event async for event in events]
    # Then that split is told to be tried again, and the next one finds a new server
    assert caught.value.code == "DECODER_FAILED"
    events = split_in_child(server, upload.read, Job(len(upload.data), options, side))
    assert [event async for event in events][-1].frames == LARGE_FRAMES


async def test_nothing_is_left_of_the_child(make, side):
    upload = Upload(make.Video(frames=20).make())
    await collect(upload, side)
    before = open_files()
    await collect(upload, side)
    await refusal(Upload(b"no video" * 100), side)
    assert open_files() == before
    assert forks_of(fork_server()) == []


async def test_nothing_is_left_of_a_start_that_is_cancelled_at_any_step(stand_in):
    stand_in("time.sleep(3600)")
    server = fork_server()
    await (await server.fork(DECODE)).stop()
    before, steps = open_files(), 0
    while True:
        steps += 1
        start = asyncio.create_task(server.fork(DECODE))
        for _ in range(steps):
            await asyncio.sleep(0)
        if start.done():
            break
        start.cancel()
        await asyncio.wait([start])
        assert start.cancelled()
    assert steps > 5
    start.result().connection.close()
    await start.result().stop()
    async with asyncio.timeout(60):
        while forks_of(server):
            await asyncio.sleep(0.01)
    assert open_files() == before


async def test_a_large_upload_is_read_in_parts_and_its_end_without_the_middle(make, side):
    # Given a file with 20 MB of padding between its data and its index
    data = make.Video(frames=20).make()
    at = data.index(b"moov") - 4
    padding = 20 * 1024 * 1024
    upload = Upload(
        data[:at] + padding.to_bytes(4, "big") + b"free" + bytes(padding - 8) + data[at:]
    )
    events = await collect(upload, side)
    # Then only a small part of it was asked for
    assert events[-1].frames == 20
    assert sum(length for _, length in upload.reads) < 6 * 1024 * 1024
    assert max(length for _, length in upload.reads) <= 1024 * 1024


@pytest.fixture
def canned(make, tmp_path, stand_in):
    """A stand-in that has its messages ready, and starts at once."""

    def put(before=""):
        data = make.Video(frames=40).make()
        source, *chunks, end = split(io.BytesIO(data), SplitOptions(chunk_frames=4), tmp_path / "x")
        # Bytes that no pipe holds at once
        events = [source, *(replace(chunk, data=bytes(100_000)) for chunk in chunks), end]
        path = tmp_path / "messages"
        path.write_bytes(b"".join(encode_message(event) for event in events))
        stand_in(
            "s = socket.socket(fileno=0); s.recv(100000)\n" + before + "\n"
            f"data = open({str(path)!r}, 'rb').read()\n"
            "while data: data = data[os.write(1, data[:65536]):]"
        )
        return events

    return put


class Clock:
    """The clock for deadlines, which only a test advances."""

    now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(process, "time", clock)
    return clock


async def test_a_consumer_that_takes_its_time_keeps_the_child_waiting(canned, side, clock):
    # Given a consumer that pauses for longer than the deadline, and more data than a pipe holds
    expected = canned()
    found = []
    server = fork_server()
    events = split_in_child(server, Upload(b"x").read, Job(1, SplitOptions(), side))
    async for event in events:
        found.append(event)
        clock.now_s += 3600
    # Then nothing is taken for a stall, and nothing is lost
    assert found == expected


async def test_slow_storage_does_not_count_as_a_stall(canned, side, clock):
    class Slow(Upload):
        async def read(self, offset, length):
            clock.now_s += 3600
            await asyncio.sleep(0.5)  # whoever waits looks at the clock by then
            return await super().read(offset, length)

    expected = canned("s.sendall(bytes(11) + b'\\1'); s.recv(100)")
    assert await collect(Slow(b"x"), side, frame_deadline_s=0.1) == expected


async def test_an_error_of_the_storage_passes_through(make, side):
    class Broken(Upload):
        async def read(self, offset, length):
            raise ConnectionResetError("the storage is away")

    with pytest.raises(ConnectionResetError):
        await collect(Broken(make.Video().make()), side)
    assert forks_of(fork_server()) == []


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "EMPTY_FILE"), (b"some text " * 100, "NOT_A_VIDEO")]
)
async def test_a_refusal_arrives_with_its_code(side, data, code):
    assert (await refusal(Upload(data), side)).code == code


async def test_a_script_that_names_other_files_opens_none(make, side, tmp_path):
    other = tmp_path / "secret.mp4"
    other.write_bytes(make.Video(frames=2).make())
    upload = Upload(f"ffconcat version 1.0\nfile 'file:{other}'\n".encode())
    assert (await refusal(upload, side)).code == "NOT_A_VIDEO"


@pytest.mark.parametrize("threads", [1, 4])
async def test_too_little_memory_is_named(make, side, threads):
    upload = Upload(make.Video(frames=2, size=(4096, 2304)).make())
    options = SplitOptions(limits=Limits(memory_bytes=100 * 1024 * 1024))
    found = await refusal(upload, side, options=options, threads=threads)
    assert found.code == "DECODER_OUT_OF_MEMORY", found.message


async def test_too_much_processor_time_is_named(stand_in, side):
    stand_in(
        "from splitter.media.limits import Limits\n"
        "from splitter.decoder.confinement import confine\n"
        f"confine(Limits(cpu_s=1), {str(side.parent)!r})\n"
        "while True: pass"
    )
    assert (await refusal(Upload(b"x"), side)).code == "DECODER_OUT_OF_TIME"


@pytest.mark.parametrize(("after", "threads"), [(1, 1), (2, 1), (2, 4)])
async def test_a_consumer_that_walks_away_ends_the_child(make, side, after, threads):
    upload = Upload(large_video())
    server = fork_server()
    events = split_in_child(
        server,
        upload.read,
        Job(len(upload.data), SplitOptions(chunk_frames=4), side, threads),
    )
    for _ in range(after):
        await anext(events)
    (fork,) = forks_of(server)
    assert threads_of(fork) == (threads + 1 if threads > 1 else 1)
    await events.aclose()
    assert forks_of(server) == []
    assert not side.exists()


async def test_cancelling_the_consumer_ends_the_child(stand_in, side):
    stand_in("time.sleep(60)")
    task = asyncio.create_task(collect(Upload(b"x"), side))
    async with asyncio.timeout(60):
        while not forks_of(fork_server()):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert forks_of(fork_server()) == []


async def test_the_child_knows_no_secrets(side, tmp_path, monkeypatch):
    # Given a server that is started with a secret around it
    monkeypatch.setenv("AZURE_STORAGE_KEY", "secret")
    code = tmp_path / "code.py"
    code.write_text("sys.exit(' '.join(sorted(os.environ)))")
    async with stand_in_server(code, loads="") as server:
        said = await last_words(side, server)
    assert "PYTHONPATH" in said
    assert "AZURE" not in said


async def test_no_child_outlives_its_server(tmp_path):
    code = tmp_path / "code.py"
    code.write_text("time.sleep(3600)")
    async with stand_in_server(code, loads="") as server:
        fork = await server.fork(DECODE)
        pid = await fork._leash.begun()
    assert server._process.returncode == -signal.SIGKILL
    assert await fork.wait() is None
    fork.connection.close()
    await fork.stop()
    async with asyncio.timeout(60):
        while psutil.pid_exists(pid):
            await asyncio.sleep(0.01)


async def test_the_child_gives_up_what_it_does_not_need(stand_in, side):
    stand_in(
        "import resource\n"
        "from splitter.media.limits import Limits\n"
        "from splitter.decoder.confinement import confine\n"
        "status = open('/proc/self/status')\n"
        f"confine(Limits(memory_bytes=2**30, cpu_s=100, side_bytes=1000), {str(side.parent)!r})\n"
        "sys.exit(status.read().split('NoNewPrivs:')[1].split()[0])"
    )
    assert await last_words(side) == "1"
