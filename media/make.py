#!/usr/bin/env python3
"""Makes the speech and the moving pictures in this folder anew: media/make.py [FOLDER]

Needs numpy, espeak-ng and ffmpeg with libx264. See README.md for what comes out and why.
"""
import os
import subprocess
import sys
import tempfile
import wave

import numpy as np

RATE, SECONDS = 48000, 10
W, H, FPS = 640, 360, 30
BLOCK = W // 20  # side of a block of the number strip
FIRST, EVERY = 0.15, 3.3  # when the first chirp sounds, and the time from one to the next

SPEECH = {
    "a": (["-v", "en-gb+f3", "-s", "165", "-p", "55"], [
        "Good morning! I can see rain over the harbour.",
        "Seven boats left at dawn, one with a red sail.",
        "Tell me, what colour is the book behind you?",
    ]),
    "b": (["-v", "en-us+m3", "-s", "160", "-p", "38"], [
        "Hello there, you sound as near as my table.",
        "I baked two loaves and gave one to a neighbour.",
        "The train leaves at nine, so there is time.",
    ]),
}


def chirp():
    """A tenth of a second from 700 Hz to 3.4 kHz: one sharp peak in a correlation."""
    t = np.arange(int(0.1 * RATE)) / RATE
    return 0.5 * np.hanning(len(t)) * np.sin(2 * np.pi * (700 * t + 13500 * t * t))


def espeak(voice, text):
    """The sentence as spoken, at RATE, without silence at its ends."""
    with tempfile.TemporaryDirectory() as d:
        raw, out = os.path.join(d, "raw.wav"), os.path.join(d, "out.wav")
        subprocess.run(["espeak-ng", *voice, "-w", raw, text], check=True)
        subprocess.run(["ffmpeg", "-v", "error", "-i", raw, "-ar", str(RATE), "-ac", "1", out], check=True)
        with wave.open(out) as f:
            x = np.frombuffer(f.readframes(f.getnframes()), np.int16) / 32768.0
    loud = np.flatnonzero(np.abs(x) > 0.01)
    return x[loud[0]:loud[-1]]


def speech(name):
    voice, sentences = SPEECH[name]
    x = np.zeros(RATE * SECONDS)
    for k, text in enumerate(sentences):
        at = int((FIRST + k * EVERY) * RATE)
        c, s = chirp(), espeak(voice, text)
        x[at:at + len(c)] += c
        at += len(c) + int(0.1 * RATE)
        room = int((EVERY - 0.3) * RATE)
        if len(s) > room or at + len(s) > len(x):
            sys.exit(f"speech {name}, sentence {k}: takes {len(s) / RATE:.2f} s, but {room / RATE:.2f} s is the most")
        x[at:at + len(s)] += 0.6 * s / np.max(np.abs(s))
    return x


def write_wav(path, x):
    with wave.open(path, "wb") as f:
        f.setparams((1, 2, RATE, 0, "NONE", ""))
        f.writeframes((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes())


# ---- the pictures: shapes as signed distances, so that their edges are smooth ----------------------------

YY, XX = np.mgrid[0:H, 0:W].astype(np.float32) + 0.5


def smooth_noise(seed, step):
    """Noise in -1..1, interpolated over `step` pixels."""
    g = np.random.default_rng(seed).uniform(-1, 1, (H // step + 3, W // step + 3)).astype(np.float32)
    y, x = YY / step, XX / step
    top_y, left = y.astype(int), x.astype(int)
    fy, fx = y - top_y, x - left
    upper = g[top_y, left] * (1 - fx) + g[top_y, left + 1] * fx
    return upper * (1 - fy) + (g[top_y + 1, left] * (1 - fx) + g[top_y + 1, left + 1] * fx) * fy


def ellipse(x, y, rx, ry):
    d = np.hypot((XX - x) / rx, (YY - y) / ry)
    return (d - 1) * min(rx, ry)


def box(x0, y0, x1, y1, r=0):
    qx = np.abs(XX - (x0 + x1) / 2) - (x1 - x0) / 2 + r
    qy = np.abs(YY - (y0 + y1) / 2) - (y1 - y0) / 2 + r
    return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - r


def limb(ax, ay, bx, by, r):
    dx, dy = bx - ax, by - ay
    t = np.clip(((XX - ax) * dx + (YY - ay) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(XX - ax - t * dx, YY - ay - t * dy) - r


def paint(img, distance, colour, alpha=1.0):
    m = (np.clip(0.5 - distance, 0, 1) * alpha)[..., None]
    img += m * (np.asarray(colour, np.float32) - img)


def brick_wall():
    row = (YY // 24).astype(int)
    x = XX + (row % 2) * 30
    mortar = (YY % 24 < 2.5) | (x % 60 < 2.5)
    tint = np.random.default_rng(3).uniform(-16, 16, (H, W // 60 + 3)).astype(np.float32)[row, (x // 60).astype(int)]
    base = np.array([[[166, 92, 74]]], np.float32) + (tint + 9 * smooth_noise(5, 4) + 6 * smooth_noise(6, 17))[..., None]
    return np.where(mortar[..., None], np.float32([178, 170, 160]), base)


def book_shelves():
    img = np.array([[[112, 82, 58]]], np.float32) + (7 * smooth_noise(8, 3) + 8 * np.sin(YY / 2.3 + 3 * smooth_noise(9, 40)))[..., None]
    rng = np.random.default_rng(11)
    for shelf in range(4):
        bottom, x = 130 + shelf * 92, 4
        while x < W - 8:
            w, h = rng.integers(11, 27), rng.integers(52, 74)
            c = rng.uniform(40, 210, 3)
            paint(img, box(x, bottom - h, x + w, bottom, 1.5), c)
            paint(img, box(x + 2, bottom - h + 9, x + w - 2, bottom - h + 13), np.minimum(c + 70, 250))
            x += w + (rng.integers(14, 40) if rng.random() < 0.12 else 1)
        paint(img, box(-5, bottom, W + 5, bottom + 8), (82, 56, 38))
    return img


def window(img, t):
    """A window with hills, sun and passing clouds."""
    x0, y0, x1, y1 = 30, 58, 190, 188
    paint(img, box(x0 - 8, y0 - 8, x1 + 8, y1 + 8, 3), (236, 230, 220))
    view = np.empty_like(img)
    view[:] = np.stack([120 + YY / 3, 178 + YY / 5, np.full_like(YY, 238)], -1)
    paint(view, ellipse(150, 86 + 3 * np.sin(t / 2), 15, 15), (255, 232, 130))
    for k, (y, s) in enumerate([(84, 1.0), (108, 0.7), (74, 0.55)]):
        x = (70 * k + 22 * t * s) % 260 - 10
        for dx, dy, r in [(0, 0, 15), (16, 3, 12), (-15, 4, 11)]:
            paint(view, ellipse(x + dx * s, y + dy * s, r * s * 1.3, r * s * 0.8), (250, 250, 252), 0.9)
    hill = 152 + 9 * np.sin(XX / 23) - YY
    paint(view, hill, np.float32([88, 140, 84]))
    m = np.clip(0.5 - box(x0, y0, x1, y1), 0, 1)[..., None]
    img += m * (view - img)
    paint(img, box(108, y0, 113, y1), (236, 230, 220))


def clock(img, t):
    """A clock whose hands go round, and a lamp that swings."""
    paint(img, ellipse(560, 96, 42, 42), (60, 46, 40))
    paint(img, ellipse(560, 96, 37, 37), (244, 240, 228))
    for k in range(12):
        a = k * np.pi / 6
        paint(img, ellipse(560 + 31 * np.sin(a), 96 - 31 * np.cos(a), 2, 2), (40, 40, 44))
    for speed, length, r in [(0.5, 20, 2.5), (2.2, 29, 1.5)]:
        paint(img, limb(560, 96, 560 + length * np.sin(speed * t), 96 - length * np.cos(speed * t), r), (40, 40, 44))
    a = 0.35 * np.sin(1.9 * t)
    x, y = 92 + 130 * np.sin(a), 20 + 130 * np.cos(a)
    paint(img, limb(92, 20, x, y, 1.5), (50, 50, 54))
    paint(img, ellipse(x, y, 27, 17), (238, 186, 74))
    paint(img, ellipse(x, y + 9, 17, 8), (255, 244, 196))


def plant(img, t):
    for k in range(7):
        a = (k - 3) * 0.27 + 0.09 * np.sin(1.7 * t + k)
        paint(img, limb(585, 320, 585 + 120 * np.sin(a), 320 - 120 * np.cos(a), 6 - 0.4 * abs(k - 3)), (48 + 9 * k, 122 + 6 * (k % 3), 60))
    paint(img, box(555, 300, 615, 372, 6), (196, 110, 66))


LOOKS = {
    "a": {"wall": brick_wall, "scene": (window, plant), "skin": (232, 190, 160), "hair": (74, 40, 26), "shirt": (38, 118, 132), "beard": False, "x": 352, "seed": 1.0},
    "b": {"wall": book_shelves, "scene": (clock,), "skin": (176, 124, 92), "hair": (36, 32, 34), "shirt": (150, 52, 62), "beard": True, "x": 318, "seed": 2.3},
}


def person(img, look, cloth, t, mouth):
    s = look["seed"]
    sway, nod = 16 * np.sin(0.9 * t + s), 6 * np.sin(2.1 * t + s) + 2 * np.sin(5.3 * t)
    x, y = look["x"] + sway, 158 + nod
    skin, hair = np.float32(look["skin"]), np.float32(look["hair"])
    body = look["x"] + 0.5 * sway
    if not look["beard"]:
        paint(img, ellipse(x, y + 28, 76, 98), hair)
    shirt = np.float32(look["shirt"]) + cloth
    m = np.clip(0.5 - np.minimum(ellipse(body, 372, 138, 116), box(body - 120, 320, body + 120, 400, 30)), 0, 1)[..., None]
    img += m * (shirt - img)
    paint(img, limb(x, y + 50, body, 262, 25), skin * 0.9)
    paint(img, ellipse(x, y, 57, 74), skin)
    paint(img, ellipse(x - 59, y + 4, 9, 15), skin * 0.93)
    paint(img, ellipse(x + 59, y + 4, 9, 15), skin * 0.93)
    if look["beard"]:
        paint(img, np.maximum(ellipse(x, y + 26, 55, 56), y + 22 - YY), hair + 14)
    fringe = np.maximum(ellipse(x, y - 8, 63, 76), YY - (y - 34 + 8 * np.sin((XX - x) / 17)))
    paint(img, fringe, hair + 6 * np.sin((XX - x) / 3.1)[..., None])
    blink = max(0.12, 1 - max(0.0, np.sin(1.3 * t + s) - 0.96) * 40)
    gaze = 4 * np.sin(0.7 * t + 2 * s)
    for side in (-1, 1):
        ex = x + side * 23
        paint(img, ellipse(ex, y - 8, 11, 7 * blink), (250, 250, 248))
        paint(img, ellipse(ex + gaze, y - 8, 5, 6 * blink), (40, 50, 60))
        paint(img, limb(ex - 12, y - 22 - 2 * mouth, ex + 12, y - 23 - 2 * mouth, 2.5), hair)
    paint(img, limb(x + 1, y - 2, x + 5, y + 18, 3), skin * 0.86)
    paint(img, ellipse(x, y + 38, 19, 3 + 13 * mouth), (128, 40, 44))
    paint(img, np.maximum(ellipse(x, y + 38, 16, 1 + 10 * mouth), YY - (y + 36)), (246, 240, 236), min(1.0, 3 * mouth))
    # A hand that waves, hardest at the start of each sentence.
    lift = 0.5 + 0.5 * np.sin(0.95 * t + s)
    ex, ey = body + 128, 330 - 60 * lift
    hx, hy = ex + 18 + 26 * np.sin(4.6 * t), ey - 60 - 30 * lift
    m = np.clip(0.5 - limb(body + 96, 320, ex, ey, 24), 0, 1)[..., None]
    img += m * (shirt * 0.92 - img)
    paint(img, limb(ex, ey, hx, hy, 15), skin)
    for k in range(4):
        a = -0.5 + 0.3 * k + 0.25 * np.sin(4.6 * t)
        paint(img, limb(hx, hy, hx + 30 * np.sin(a), hy - 30 * np.cos(a), 5), skin)


def number_strip(luma, n):
    """White, black, 12 bits of n, 4 check bits, black, white, in 20 square blocks from the left."""
    check = (3 * (n & 15) + 5 * ((n >> 4) & 15) + 7 * ((n >> 8) & 15) + 9) & 15
    bits = [1, 0] + [(n >> k) & 1 for k in range(11, -1, -1)] + [(check >> k) & 1 for k in (3, 2, 1, 0)] + [0, 1]
    for i, b in enumerate(bits):
        luma[:BLOCK, i * W // 20:(i + 1) * W // 20] = 235 if b else 16


def i420(img, n):
    """Limited-range BT.601, chroma averaged over 2x2, with the number on top."""
    r, g, b = np.moveaxis(np.clip(img, 0, 255), -1, 0)
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    half = lambda p: p.reshape(H // 2, 2, W // 2, 2).mean((1, 3))
    u, v = half(u), half(v)
    number_strip(y, n % 4096)
    u[:BLOCK // 2], v[:BLOCK // 2] = 128, 128
    return b"".join(np.round(p).astype(np.uint8).tobytes() for p in (y, u, v))


def picture(name, path, sound):
    """Each picture's mouth is as wide as the sound is loud. 10 s in constrained baseline, one keyframe a second."""
    look = LOOKS[name]
    wall = look["wall"]()
    cloth = (7 * smooth_noise(21, 3) + 9 * np.sin(XX / 5) * (np.sin(YY / 9) > 0))[..., None]
    enc = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{W}x{H}", "-r", str(FPS), "-i", "-",
         "-c:v", "libx264", "-profile:v", "baseline", "-bf", "0", "-refs", "1", "-g", str(FPS), "-preset", "veryslow",
         "-b:v", "720k", "-maxrate", "1000k", "-bufsize", "1000k", "-bsf:v", "filter_units=remove_types=6",
         "-f", "h264", path], stdin=subprocess.PIPE)
    for n in range(FPS * SECONDS):
        img, t = wall.copy(), n / FPS
        for part in look["scene"]:
            part(img, t)
        loud = np.sqrt(np.mean(sound[n * RATE // FPS:(n + 1) * RATE // FPS] ** 2))
        person(img, look, cloth, t, min(1.0, 4.5 * loud))
        enc.stdin.write(i420(img, n))
    enc.stdin.close()
    if enc.wait():
        sys.exit(f"ffmpeg ended with {enc.returncode}; is it built with libx264?")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name in SPEECH:
        x = speech(name)
        write_wav(os.path.join(out, f"speech-{name}.wav"), x)
        picture(name, os.path.join(out, f"picture-{name}.h264"), x)


main()
