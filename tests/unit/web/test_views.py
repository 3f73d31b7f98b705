"""What the studio's API shows of a job."""

from __future__ import annotations

from shared.contracts.status import Status, utc_now
from shared.contracts.style_request import StyleRequest
from web.jobs.views import job_of


def test_a_job_shows_all_that_was_asked_for() -> None:
    style = StyleRequest(
        style="udnie@0s,great-wave@5s",
        max_side=640,
        strength=0.5,
        preserve_color=True,
        start=1.5,
        duration=9.0,
        max_frames=48,
        brush=360,
        quality=80,
        codec="av1",
        fade=0.5,
    )
    now = utc_now()
    status = Status(
        job_id="0" * 24,
        state="queued",
        video_name="clip.mp4",
        video_url="http://127.0.0.1/uploads/clip.mp4",
        style=style,
        started_at=now,
        updated_at=now,
    )

    shown = job_of(status, None)

    asked = {name: getattr(style, name) for name in StyleRequest.model_fields}
    assert {name: getattr(shown, name, "missing") for name in asked} == asked
