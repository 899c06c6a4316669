"""A tiny labelled folder, textures of 16 px with planted defects, and a plan of a study of representations on it."""

import numpy as np
from PIL import Image

SIDE = 16
PLAN = """
[study]
name = "tiny"
seeds = [0]
[[data]]
name = "tiles"
path = "tiles"
size = 16
[pretraining]
arms = ["untrained/resnet8", "supervised/resnet8", "simclr/resnet8", "mae/resnet8", "mae/vit_micro"]
levels = [0.1, 0.3]
steps = 3
batch = 8
"""


def textures(count, *, defects, generator):
    """Return grey stripes (count, 16, 16), uint8, of random phase, slope and noise; with a bright square, if asked."""
    rows, columns = np.indices((SIDE, SIDE))
    images = []
    for _ in range(count):
        slope, phase = generator.uniform(0.3, 1.2, 2), generator.uniform(0, 6)
        stripes = 110 + 40 * np.sin(rows * slope[0] + columns * slope[1] + phase)
        image = stripes + generator.normal(0, 12, (SIDE, SIDE))
        if defects:
            top, left = generator.integers(1, SIDE - 6, 2)
            image[top : top + 5, left : left + 5] = 250
        images.append(image.clip(0, 255).astype(np.uint8))
    return np.array(images)


def write_images(folder, images):
    """Write images as 000.png and so on into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")


def write_study(folder, *, good=60, bad=24, plan=PLAN):
    """Write the folder `tiles` in the MVTec layout and `plan.toml`."""
    generator = np.random.default_rng(0)
    write_images(folder / "tiles/train/good", textures(good, defects=False, generator=generator))
    write_images(folder / "tiles/test/blot", textures(bad, defects=True, generator=generator))
    (folder / "plan.toml").write_text(plan)
    return folder
