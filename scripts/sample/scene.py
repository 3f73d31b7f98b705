"""A bay at dusk, one picture after the other.

Large shapes and strong light give a style something to work with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from canvas import (
    BEAT_S,
    HEIGHT,
    SECONDS,
    WIDTH,
    Array,
    X,
    Y,
    colour,
    cover,
    fractal_noise,
    mix,
    paint,
    sample,
    smoothstep,
)

HORIZON = 212
PAN = 130.0
"""How far the camera travels to the right, in pixels of the nearest layer."""

RIGHT_BANK_SHARE = 0.45
"""Of the reeds, how many grow where the camera arrives."""

CLOUDS, RIDGES, GROUND, WAVES = (fractal_noise(seed) for seed in (11, 5, 23, 42))
GRAIN = fractal_noise(7, octaves=3, cells=64)

SKY_STOPS = (0.0, 0.35, 0.62, 0.82, 1.0)
SKY = np.stack(
    [
        colour(24, 32, 84),
        colour(66, 62, 128),
        colour(158, 92, 136),
        colour(240, 138, 98),
        colour(255, 206, 122),
    ]
)
PEACH, GOLD, MOONLIGHT = colour(255, 176, 130), colour(255, 196, 96), colour(255, 244, 214)


def moon_at(t: float) -> tuple[float, float]:
    """Place the moon's centre."""
    return 168 - 0.03 * PAN * t / SECONDS, 96 - 4.2 * t


def sky(t: float, pan: float) -> Array:
    """Paint the sky above the horizon: dusk, stars, moon, and a ceiling of lit clouds."""
    y = Y[:HORIZON]
    height = y / HORIZON
    picture = np.stack([np.interp(height, SKY_STOPS, SKY[:, c]) for c in range(3)], axis=-1)
    picture = np.repeat(picture.astype(np.float32), WIDTH, axis=1)
    sun_x = 455 - 0.08 * pan
    glow = np.exp(-(((X - sun_x) / 210) ** 2) - ((HORIZON - y) / 74) ** 2)
    picture = mix(picture, colour(255, 214, 120), 0.75 * glow)
    # Clouds lie in a plane: farther ones are smaller and closer to the horizon.
    near = 1 / (HORIZON + 130 - y)
    u = (X - 320 + 0.1 * pan) * near * 300 + 8 * t + 330
    v = near * 105_000 + 60
    density = sample(CLOUDS, u, v)
    towards_sun = sample(CLOUDS, u + 6, v + 9)
    cloud = smoothstep(0.36, 0.68, density) * (0.3 + 0.7 * smoothstep(4, 70, HORIZON - y))
    lit = np.clip(0.3 + 2.4 * (density - towards_sun) + 0.5 * glow + 0.3 * height, 0, 1)
    stars(picture, t, (1 - cloud) * smoothstep(150, 30, y + 0 * X))
    moon_x, moon_y = moon_at(t)
    away = np.hypot(X - moon_x, y - moon_y)
    halo = np.exp(-away / 46)
    picture = mix(picture, colour(255, 226, 190), 0.55 * halo)
    seas = 1 - 0.3 * smoothstep(0.35, 0.7, sample(CLOUDS, 1.6 * (X - moon_x), 1.6 * (y - moon_y)))
    disc = cover(25 - away)
    picture = mix(picture, MOONLIGHT * seas[..., None], disc)
    shade = mix(colour(78, 62, 116), mix(PEACH, colour(255, 226, 176), glow), lit)
    shade = mix(shade, MOONLIGHT, 0.5 * halo * lit)
    return mix(picture, shade, cloud * (0.88 - 0.5 * disc))


def stars(picture: Array, t: float, visible: Array) -> None:
    """Add twinkling stars where the sky is open."""
    rng = np.random.default_rng(3)
    for _ in range(130):
        x, y = rng.uniform(2, WIDTH - 3), rng.uniform(2, 140)
        size, phase, pace = rng.uniform(0.4, 1.0), rng.uniform(0, 6.3), rng.uniform(1, 3)
        rows, columns = slice(int(y) - 2, int(y) + 3), slice(int(x) - 2, int(x) + 3)
        away = np.hypot(X[:, columns] - x, Y[rows] - y)
        light = size * (0.75 + 0.25 * np.sin(phase + pace * t)) * np.exp(-((away / 0.9) ** 2))
        picture[rows, columns] += (light * visible[rows, columns])[..., None] * colour(
            235, 235, 255
        )


def ridge(x: Array, scale: float, row: float) -> Array:
    """Outline a range of hills: 0 to 1 over world coordinates."""
    return sample(RIDGES, x * scale, np.float32(row) + 0 * x)


def land(picture: Array, pan: float) -> Array:
    """Set mountains and wooded hills before the sky; the nearer, the less haze lies on them."""
    y = Y[:HORIZON]
    layers = (
        (0.16, 0.55, 60.0, 26, 92, colour(116, 92, 146), colour(240, 158, 130)),
        (0.28, 0.8, 300.0, 12, 64, colour(72, 70, 122), colour(190, 116, 124)),
        (0.45, 1.1, 170.0, 4, 40, colour(34, 52, 84), colour(94, 82, 110)),
    )
    for parallax, scale, row, low, high, dark, haze in layers:
        x = X + pan * parallax
        outline = low + (high - low) * ridge(x, scale, row) ** 1.3
        outline = outline + 3 * ridge(x, 6 * scale, row + 40)
        top = HORIZON - outline
        slope = sample(GROUND, x * 2.2, y * 3 + row) - sample(GROUND, x * 2.2 + 4, y * 3 + row + 2)
        depth = smoothstep(0, 1, (y - top) / np.maximum(outline, 1))
        body = mix(dark, haze, 0.85 * depth)
        # Light comes from the right, where the sun went down.
        body = body * (1 - 1.5 * slope[..., None]) + 0.35 * np.clip(-slope, 0, 1)[..., None] * PEACH
        picture = mix(picture, body, cover(y - top))
    return picture


def headland(picture: Array, t: float, pan: float) -> Array:
    """Set the near shore with house and lighthouse; its beam turns once in four beats."""
    x, y = X + 0.95 * pan, Y[: HORIZON + 26]
    rise = 62 * smoothstep(400, 640, x) + 30 * smoothstep(620, 800, x)
    rough = 7 * ridge(x, 3, 20) + 3 * ridge(x, 14, 90)
    top = HORIZON + 12 - (rise + rough) * smoothstep(372, 430, x)
    shore = HORIZON + 7 + 9 * ridge(x, 2.2, 400) * smoothstep(380, 520, x) + 3 * ridge(x, 12, 33)
    rock = sample(GROUND, x * 3, y * 4)
    grass = sample(GRAIN, x * 2, y * 1.1)
    turf = mix(colour(34, 52, 50), colour(132, 112, 62), smoothstep(0.35, 0.95, grass))
    stone = mix(colour(40, 34, 58), colour(168, 116, 104), smoothstep(0.3, 0.8, rock))
    body = mix(turf, stone, smoothstep(0.3, 0.75, (y - top) / 50 + 0.5 * (rock - 0.5)))
    rim = np.exp(-np.clip(y - top, 0, 99) / 2.2)
    body = mix(body, GOLD, 0.55 * rim)
    inside = cover(y - top) * cover(shore - y) * cover(x - 374)
    full = picture.copy()
    full[: HORIZON + 26] = mix(picture[: HORIZON + 26], body, inside)
    house(full, 655 - 0.95 * pan, HORIZON - 64)
    lighthouse(full, 572 - 0.95 * pan, HORIZON - 44, t)
    return full


def house(picture: Array, x: float, base: float) -> None:
    """Draw the keeper's house with lit windows."""
    y, u = Y, X - x
    wall = cover(21 - abs(u)) * cover(base - y) * cover(y - base + 20)
    plaster = mix(colour(120, 96, 116), colour(214, 172, 150), sample(GRAIN, X * 2 - x, Y * 2))
    paint(picture, plaster * (0.75 + 0.012 * u[..., None] * -1), wall)
    roof = cover(27 - abs(u) - 1.5 * (base - 20 - y)) * cover(base - 19 - y)
    paint(picture, mix(colour(84, 38, 50), colour(176, 84, 66), sample(GRAIN, X, Y * 3)), roof)
    for at in (-11, 0, 11):
        lit = cover(3 - abs(u - at)) * cover(4 - abs(y - base + 10))
        paint(picture, colour(255, 216, 120), lit)
    paint(picture, GOLD, 0.3 * np.exp(-np.hypot(u, (y - base + 10) * 1.4) / 18))


def lighthouse(picture: Array, x: float, base: float, t: float) -> None:
    """Draw tower, lantern and beam."""
    u, up = X - x, base - Y
    radius = 12.5 - 0.055 * up
    tower = cover(radius - abs(u)) * cover(up + 2) * cover(88 - up)
    band = smoothstep(-0.15, 0.15, np.sin(up * np.pi / 17.6) + 0 * u)
    paintwork = mix(colour(242, 226, 208), colour(196, 52, 46), band)
    round_ = 0.55 + 0.5 * np.clip(0.35 + u / radius, 0, 1)
    worn = 0.85 + 0.3 * (sample(GROUND, X * 4 - 4 * x, Y * 3) - 0.5)
    paint(picture, paintwork * (round_ * worn)[..., None], tower)
    for at in (20, 55):
        paint(picture, colour(255, 208, 120), cover(1.6 - abs(u)) * cover(3 - abs(up - at)))
    paint(picture, colour(46, 36, 54), cover(12 - abs(u)) * cover(2 - abs(up - 88)))
    paint(picture, colour(255, 236, 170), cover(6 - abs(u)) * cover(7 - abs(up - 96)))
    paint(picture, colour(120, 34, 40), cover(8.5 - abs(u) - 0.75 * (up - 103)) * cover(up - 103))
    turn = 2 * np.pi * t / (4 * BEAT_S)
    lamp_up = up - 96
    for side in (0.0, np.pi):
        across, towards = np.cos(turn + side), np.sin(turn + side)
        along = u * np.sign(across)
        reach = 40 + 420 * abs(across)
        wide = 3 + 0.07 * np.clip(along, 0, None) + 10 * max(0.0, towards) ** 4
        beam = np.exp(-(((lamp_up + 0.03 * along) / wide) ** 2)) * np.exp(
            -np.clip(along, 0, None) / reach
        )
        beam = beam * smoothstep(-2, 6, along) * (0.25 + 0.4 * abs(across))
        paint(picture, colour(255, 236, 176), np.clip(beam, 0, 0.7))
        flare = max(0.0, towards) ** 10
        away = np.hypot(u, lamp_up)
        paint(picture, colour(255, 240, 196), flare * np.clip(1.1 * np.exp(-away / 20), 0, 0.95))
    paint(picture, GOLD, 0.5 * np.exp(-np.hypot(u, lamp_up) / 13))


def water(above: Array, t: float, pan: float) -> tuple[Array, Array]:
    """Mirror what is above the horizon in moving water; returns picture and wave heights."""
    y = Y[HORIZON:]
    nearness = (y - HORIZON) / (HEIGHT - HORIZON)
    far = 1 / (y - HORIZON + 14)
    u, v = (X - 320 + pan) * far * 34, -420 * np.log(far)
    swell = sample(WAVES, u * 2 + 5 * t, v - 20 * t)
    ripple = sample(WAVES, u * 4 - 8 * t, v * 1.7 + 26 * t + 200)
    wave = 0.5 * swell + 0.5 * ripple
    column = X + (wave - 0.5) * (12 + 80 * nearness)
    row = HORIZON - 2 - (y - HORIZON) * 1.25 + (wave - 0.5) * (12 + 150 * nearness)
    rows = np.clip(row, 0, HORIZON - 2).astype(int)
    columns = np.clip(column, 0, WIDTH - 1).astype(int)
    depth = mix(colour(52, 74, 118), colour(12, 34, 66), nearness + 0 * X)
    picture = mix(depth, above[rows, columns], 0.74 - 0.3 * nearness + 0 * X)
    crest = smoothstep(0.52, 0.8, wave)
    picture = mix(picture, colour(206, 150, 168), 0.3 * crest)
    trough = smoothstep(0.5, 0.2, wave)
    picture = mix(picture, colour(14, 30, 62), 0.45 * trough)
    moon_x, _ = moon_at(t)
    for at, spread, tint in ((moon_x, 14.0, MOONLIGHT), (455 - 0.08 * pan, 46.0, GOLD)):
        path = np.exp(-(((X - at) / (spread + 46 * nearness)) ** 2))
        picture = mix(picture, tint, 0.85 * path * smoothstep(0.5, 0.66, wave))
    return picture, wave


def boat(u: Array, up: Array) -> tuple[Array, Array]:
    """Draw the boat around the middle of its waterline; returns colours and coverage."""
    shape = np.broadcast_shapes(u.shape, up.shape)
    tints, covered = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)

    def add(tint: Array, share: Array) -> None:
        nonlocal covered
        paint(tints, tint, share)
        covered = np.maximum(covered, share)

    cloth = sample(GROUND, u * 2.4 + 40, up * 2.4)
    seams = 1 - 0.14 * smoothstep(0.9, 1, np.sin(up * 0.42 + 0.08 * u))
    fall = np.clip((108 - up) / 96, 0, 1)
    leech = -3 - 50 * fall**0.8 - 6 * np.sin(np.pi * fall)
    main = cover(u - leech) * cover(-2.5 - u) * cover(up - 15) * cover(108 - up)
    light = np.clip(0.35 + 0.55 * (u - leech) / 52 + 0.5 * (cloth - 0.5), 0, 1)
    add(mix(colour(150, 92, 120), colour(255, 222, 168), light) * seams[..., None], main)
    fall = np.clip((98 - up) / 84, 0, 1)
    luff = 2 + 42 * fall + 4 * np.sin(np.pi * fall)
    jib = cover(luff - u) * cover(u - 1.5 - 4 * fall) * cover(up - 16) * cover(98 - up)
    light = np.clip(0.3 + 0.7 * u / 46 + 0.5 * (cloth - 0.5), 0, 1)
    add(mix(colour(178, 62, 66), colour(255, 148, 88), light) * seams[..., None], jib)
    add(colour(70, 44, 40) + 0 * tints, cover(1.5 - abs(u + 0.5)) * cover(up - 8) * cover(114 - up))
    pennant = cover(3.2 - abs(up - 111 - 1.5 * np.sin(u * 0.35)) - 0.18 * abs(u)) * cover(-1 - u)
    add(colour(226, 60, 56) + 0 * tints, pennant * cover(u + 16))
    half = 50 - 0.055 * (14 - up) ** 2 + np.where(u > 0, 0.5 * up, 0.1 * up)
    sheer = 12 + 0.0035 * u**2
    hull = cover(half - abs(u)) * cover(sheer - up) * cover(up + 3)
    planks = 0.75 + 0.4 * cloth - 0.16 * smoothstep(0.7, 1, np.sin(up * 1.5 + 0.004 * u**2))
    wood = (
        mix(colour(92, 40, 34), colour(206, 110, 62), np.clip(0.5 + u / 90, 0, 1))
        * planks[..., None]
    )
    add(mix(wood, colour(250, 224, 190), cover(1.2 - abs(up - sheer + 2))), hull)
    return tints, covered


def sail(picture: Array, wave: Array, t: float) -> None:
    """Put the boat, its mirror image and its wake on the water."""
    x, waterline = 178 + 17.0 * t, 268 + 1.6 * np.sin(1.7 * t)
    lean = 0.045 * np.sin(1.25 * t) - 0.03
    u, up = X - x, waterline - Y
    drift = np.zeros((HEIGHT, WIDTH), np.float32)
    drift[HORIZON:] = wave - 0.5
    below = np.clip(-up, 0, None)
    mirrored = u + drift * (8 + 0.5 * below)
    tints, covered = boat(mirrored - lean * below, below * 1.05 + drift * 14)
    paint(picture, tints * 0.62, 0.62 * covered * cover(-up - 1) * np.exp(-below / 80))
    wake = smoothstep(0.48, 0.7, drift + 0.5) * cover(-up + 3) * np.exp(-abs(up + 3 + 0.05 * u) / 5)
    behind = smoothstep(60, 10, abs(u + 40)) + 0.6 * smoothstep(170, 20, abs(u + 90))
    paint(picture, colour(255, 226, 206), np.clip(0.75 * wake * behind, 0, 1))
    tints, covered = boat(u - lean * up, up)
    paint(picture, tints, covered * cover(up + 3))


def reeds(picture: Array, t: float, pan: float) -> None:
    """Let reeds sway close to the camera; they pass fastest and give the pan its depth."""
    rng = np.random.default_rng(9)
    for _ in range(58):
        root = rng.uniform(-40, 330) - 1.5 * pan + (520 if rng.random() < RIGHT_BANK_SHARE else 0)
        tall, width = rng.uniform(45, 120), rng.uniform(1.6, 3.2)
        bend = rng.uniform(-18, 26) + 7 * np.sin(1.1 * t + root / 60)
        tone = mix(colour(22, 34, 40), colour(112, 92, 52), np.full(1, rng.random(), np.float32))[0]
        rows = slice(int(HEIGHT - tall), HEIGHT)
        along = (HEIGHT - Y[rows]) / tall
        x = root + bend * along**2
        low, high = int(max(0, x.min() - 6)), int(min(WIDTH, x.max() + 6))
        if high <= low:
            continue
        away = abs(X[:, low:high] - x)
        edge = GOLD * 0.9 - tone
        rim = np.clip((X[:, low:high] - x) / width, 0, 1) * along
        head = width * (1 - 0.85 * along) + 4.2 * np.exp(-(((along - 0.86) * tall / 9) ** 4))
        paint(picture[rows, low:high], tone + rim[..., None] * edge * 0.7, cover(head - away))


def frame(t: float) -> npt.NDArray[np.uint8]:
    """Render the picture at ``t`` seconds as height x width x 3 bytes."""
    pan = PAN * float(smoothstep(-0.15, 1.15, np.full(1, t / SECONDS, np.float32))[0])
    above = land(sky(t, pan), pan)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    picture[:HORIZON] = above
    picture[HORIZON:], wave = water(headland(picture, t, pan)[:HORIZON], t, pan)
    picture = headland(picture, t, pan)
    sail(picture, wave, t)
    reeds(picture, t, pan)
    corner = np.hypot((X - 320) / 420, (Y - 190) / 290)
    picture *= (1.04 - 0.34 * smoothstep(0.5, 1.25, corner))[..., None]
    return (np.clip(picture, 0, 1) ** 0.94 * 255 + 0.5).astype(np.uint8)
