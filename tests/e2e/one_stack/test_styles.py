"""Style requests on the whole stack."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import times

from shared.contracts.layout import job_id
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.media.pixels import plane_arrays
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


def colourful(frames: int = 20, width: int = 96, height: int = 64) -> bytes:
    """Make a video of a moving ramp of greys whose corners have four colours."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1
        for number in range(frames):
            frame = av.VideoFrame(width, height, "yuv420p")
            luma, *chroma = plane_arrays(frame)
            luma[...] = (np.arange(width) * 2 + 3 * number) % 180 + 30
            for plane, flip in zip(chroma, (1, -1), strict=True):
                rows, columns = plane.shape
                plane[: rows // 2], plane[rows // 2 :] = 90, 160
                plane[:, : columns // 2][:: flip or 1] += 20
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def planes(video: bytes | Path) -> list[np.ndarray]:
    """Return a video's three planes, each with all frames."""
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video)) as container:
        frames = [plane_arrays(frame) for frame in container.decode(video=0)]
        return [np.stack(plane).astype(int) for plane in zip(*frames, strict=True)]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


async def painted(pipeline, name: str, video: bytes, **wish: object) -> tuple[Status, Path]:
    path = pipeline.folder / name
    path.write_bytes(video)
    submission = await pipeline.jobs.submit(path, StyleRequest(**wish))
    status = await pipeline.ended(submission.job_id)
    assert status.state == "done", status.error
    assert status.style == StyleRequest(**wish)
    return status, await pipeline.result(status)


async def test_a_blend_at_half_strength_in_the_videos_own_colours(pipeline) -> None:
    video = colourful()
    blend = "the-scream:1,starry-night:3"
    wish = {"style": blend, "strength": 0.5, "preserve_color": True}
    status, result = await painted(pipeline, "wish.mp4", video, **wish)
    assert status.result == "wish.starry-night-75-the-scream-25-strength-50-own-color.mp4"
    _, full = await painted(pipeline, "full.mp4", video, style=blend)
    assert times(result) == times(full) == times(video)
    (luma, *chroma), (half, *kept), (whole, *_) = planes(video), planes(result), planes(full)
    assert all(distance(*pair) < 1.5 for pair in zip(chroma, kept, strict=True))
    assert distance(luma, whole) > 8, "nothing was painted"
    assert distance((luma + whole) / 2, half) < 3


async def test_strength_0_gives_the_video_back(pipeline) -> None:
    video = colourful()
    _, result = await painted(pipeline, "as-it-was.mp4", video, style="the-scream", strength=0.0)
    assert all(distance(*pair) < 2 for pair in zip(planes(video), planes(result), strict=True))


async def test_styles_over_time_change_at_their_frames(pipeline) -> None:
    # Given twenty frames in 0.8 s, in two styles, and a third that would come too late
    video = colourful()
    style = "starry-night@0s,the-scream@0.4s,udnie@9s"
    # When they are painted
    status, result = await painted(pipeline, "over-time.mp4", video, style=style, fade=0.2)
    # Then every frame is there, before the fade in the one style, behind it in the other
    assert times(result) == times(video)
    assert status.warnings == ("the video ends at 0.8 s, before the style udnie begins at 9s",)
    assert status.result.startswith("over-time.starry-night-then-the-scream-at-400ms-then-udnie")
    engine, (luma, *_) = OnnxEngine(Gallery(), "cpu"), planes(result)
    for number, expected in ((0, "starry-night"), (9, "starry-night"), (16, "the-scream")):
        with av.open(io.BytesIO(video)) as container:
            frame = list(container.decode(video=0))[number]
        looks = {
            name: plane_arrays(paint_picture(frame, engine.paint, StyleRequest(style=name)))[0]
            for name in ("starry-night", "the-scream")
        }
        nearest = min(looks, key=lambda name: distance(luma[number], looks[name]))
        assert nearest == expected, number


@pytest.mark.parametrize(
    ("metadata", "request_", "code", "sentence"),
    [
        (
            {"style": "the-scream:0.5,nope:0.5", "Strength": "0.3"},
            StyleRequest(style="nope:0.5,the-scream:0.5", strength=0.3),
            "UNKNOWN_STYLE",
            "there is no style 'nope'; there are: ",
        ),
        (
            {"style": "the-scream", "strength": "a lot"},
            StyleRequest(style="starry-night"),
            "BAD_REQUEST",
            "strength must be a number from 0 to 1, not 'a lot'",
        ),
    ],
    ids=["unknown", "senseless"],
)
async def test_an_invalid_request_is_reported_on_the_job(
    pipeline, metadata: dict[str, str], request_: StyleRequest, code: str, sentence: str
) -> None:
    path, name = pipeline.folder / "wish.mp4", f"{code}.mp4"
    path.write_bytes(colourful(5))
    assert await pipeline.blobs.create("uploads", name, path, metadata=metadata)
    facts = await pipeline.blobs.facts("uploads", name)
    status = await pipeline.ended(job_id("uploads", name, facts.etag, request_))
    assert status.state == "failed"
    assert status.style == request_
    assert status.error.code == code
    assert status.error.message.startswith(sentence)
