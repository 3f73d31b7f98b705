"""Draw ``local/sample.mp4``, the clip that a newcomer sees painted first.

    .venv/bin/python scripts/sample [OUTPUT]

Ten seconds of a bay at dusk: a boat sails towards a lighthouse under drifting clouds and a rising
moon, and the beam comes round with each new chord of a small tune. The same library versions write
the same bytes: the encoder runs in one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from canvas import HEIGHT, RATE, SECONDS, WIDTH, Array
from music import AUDIO_RATE, music
from scene import frame

CRF = "25"
"""The quality that keeps the clip below a megabyte."""


def write(output: Path, pictures: Iterator[npt.NDArray[np.uint8]], sound: Array) -> None:
    """Encode H.264 and AAC into an MP4 whose index comes first."""
    with av.open(str(output), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.thread_count = 1
        video.options = {"preset": "veryslow", "crf": CRF, "threads": "1"}
        context = video.codec_context
        context.color_range, context.colorspace = 1, 1
        context.color_primaries, context.color_trc = 1, 1
        audio = container.add_stream("aac", rate=AUDIO_RATE, layout="stereo")
        audio.bit_rate = 96_000
        samples = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        samples.sample_rate = AUDIO_RATE
        samples.pts = 0
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))
        for index, picture in enumerate(pictures):
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image = image.reformat(format="yuv420p", dst_colorspace="ITU709")
            image.pts, image.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(image))
        container.mux(video.encode(None))


def main(arguments: list[str]) -> None:
    """Draw every frame and write the clip."""
    default = Path(__file__).resolve().parents[2] / "local/sample.mp4"
    output = Path(arguments[0]) if arguments else default
    pictures = (frame(index / RATE) for index in range(RATE * SECONDS))
    write(output, pictures, music())
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
