"""The sound of the clip: chords and a tune, with the sea behind."""

from __future__ import annotations

import numpy as np
from canvas import BEAT_S, SECONDS, Array, smoothstep

AUDIO_RATE = 48_000

CHORDS = ((45, 57, 60, 64), (41, 57, 60, 65), (48, 55, 60, 64), (43, 55, 59, 62))
"""A minor, F, C, G: a chord each time that the beam comes round."""

TUNE = (
    *((0.0, 76), (1.0, 72), (1.5, 74), (2.0, 76), (3.0, 81), (4.0, 79), (5.0, 77), (5.5, 76)),
    *((6.0, 77), (7.0, 72), (8.0, 76), (9.0, 74), (9.5, 72), (10.0, 79), (11.0, 76), (12.0, 74)),
    *((12.5, 76), (13.0, 74), (14.0, 71), (15.0, 72)),
)
"""Beats and notes of the melody."""


def music() -> Array:
    """Compose the stereo sound: soft chords, a plucked tune, and the sea; 2 x samples."""
    count = AUDIO_RATE * SECONDS
    time = np.arange(count, dtype=np.float32) / AUDIO_RATE
    sound = np.zeros((2, count), np.float32)
    for bar, chord in enumerate(CHORDS):
        since = time - 4 * bar * BEAT_S
        swell = smoothstep(-0.25, 0.6, since) * smoothstep(
            4 * BEAT_S + 0.5, 4 * BEAT_S - 0.2, since
        )
        for note in chord:
            for side, detune in enumerate((0.9985, 1.0015)):
                phase = 2 * np.pi * hertz(note) * detune * time
                sound[side] += 0.05 * swell * (np.sin(phase) + 0.25 * np.sin(2 * phase + 1))
    plucks = np.zeros((2, count), np.float32)
    for beat, note in TUNE:
        since = time - beat * BEAT_S
        phase = 2 * np.pi * hertz(note) * since
        tone = np.sin(phase) + 0.4 * np.sin(2 * phase) * np.exp(-3 * since.clip(0))
        tone += 0.12 * np.sin(3 * phase) * np.exp(-6 * since.clip(0))
        pluck = 0.17 * tone * smoothstep(0, 0.012, since) * np.exp(-2.4 * since.clip(0))
        place = (note - 70) / 16
        plucks += pluck * np.array([[1 - place], [place + 0.35]], np.float32)
    sound += plucks
    for echo in range(1, 5):
        shift = int(echo * 0.75 * BEAT_S * AUDIO_RATE)
        # Each echo comes from the other side than the one before.
        sound[:, shift:] += 0.34**echo * plucks[:: -1 if echo % 2 else 1, :-shift]
    sound += sea(time)
    sound *= smoothstep(0, 0.15, time) * smoothstep(SECONDS, SECONDS - 0.9, time)
    return np.asarray(np.tanh(1.2 * sound), dtype=np.float32)


def sea(time: Array) -> Array:
    """Let small waves come and go on both sides."""
    rng = np.random.default_rng(17)
    noise = rng.standard_normal((2, len(time))).astype(np.float32)
    kernel = np.hanning(48).astype(np.float32)
    washed = np.stack([np.convolve(side, kernel / kernel.sum(), "same") for side in noise])
    come = 0.35 + 0.65 * np.sin(np.pi * (time / 2.5 + np.array([[0.0], [0.4]]))) ** 2
    return np.asarray(0.10 * washed * come, dtype=np.float32)


def hertz(note: int) -> float:
    """Turn a MIDI note number into its frequency."""
    return float(440 * 2 ** ((note - 69) / 12))
