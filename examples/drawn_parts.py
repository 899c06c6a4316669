"""Draws what the tutorials need: photographs of a small metal part, some of them scratched, and simple shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 48
OVERSAMPLED = 4


def part(seed: int, *, scratched: bool = False) -> Image.Image:
    """Return a grey picture of a drilled plate: light, position and grain differ; with a scratch if asked."""
    chance = np.random.default_rng(seed)
    side = SIDE * OVERSAMPLED
    plate = Image.new("L", (side, side), 60)
    draw = ImageDraw.Draw(plate)
    x, y = chance.uniform(-4, 4, 2) + side / 2
    draw.rounded_rectangle((x - 70, y - 70, x + 70, y + 70), 20, fill=165)
    for dx, dy in ((-40, -40), (40, -40), (-40, 40), (40, 40)):
        draw.ellipse((x + dx - 11, y + dy - 11, x + dx + 11, y + dy + 11), fill=60)
    if scratched:
        angle, length = chance.uniform(0, np.pi), chance.uniform(30, 55)
        at = np.array([x, y]) + chance.uniform(-30, 30, 2)
        step = length / 2 * np.array([np.cos(angle), np.sin(angle)])
        draw.line((*(at - step), *(at + step)), fill=int(chance.uniform(60, 100)), width=10)
    small = np.asarray(plate.filter(ImageFilter.GaussianBlur(2)).resize((SIDE, SIDE), Image.Resampling.BOX), float)
    light = 1 + 0.08 * chance.uniform(-1, 1) + 0.1 * np.linspace(-1, 1, SIDE) * chance.uniform(-1, 1)
    return Image.fromarray((small * light + chance.normal(0, 4, small.shape)).clip(0, 255).astype(np.uint8))


def shape(kind: str, seed: int) -> Image.Image:
    """Return a grey picture of a "circle", "square" or "triangle": place, size, turn and grain differ."""
    chance = np.random.default_rng(seed)
    corners = {"circle": 40, "square": 4, "triangle": 3}[kind]
    side = SIDE * OVERSAMPLED
    radius, turn = chance.uniform(50, 70), chance.uniform(-0.2, 0.2)
    angles = turn + 2 * np.pi * (np.arange(corners) / corners + 1 / 8)
    x, y = chance.uniform(-12, 12, (2, 1)) + side / 2 + radius * np.array([np.cos(angles), np.sin(angles)])
    picture = Image.new("L", (side, side), 60)
    ImageDraw.Draw(picture).polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=170)
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), float)
    return Image.fromarray((small + chance.normal(0, 6, small.shape)).clip(0, 255).astype(np.uint8))


def write_parts(folder: Path, names: range, *, every: int = 0) -> dict[str, int]:
    """Write one part for each number, every so-manieth scratched, and return 1 (scratched) or 0 by file name."""
    folder.mkdir(parents=True)
    truth = {f"part-{i:04d}.png": int(every > 0 and i % every == 0) for i in names}
    for i, (name, scratched) in zip(names, truth.items(), strict=True):
        part(i, scratched=bool(scratched)).save(folder / name)
    return truth


def write_shapes(folder: Path, kinds: tuple[str, ...], images: int) -> None:
    """Write a folder for each kind with so many images."""
    for k, kind in enumerate(kinds):
        (folder / kind).mkdir(parents=True)
        for i in range(images):
            shape(kind, 1000 * k + i).save(folder / kind / f"{i:03d}.png")
