"""Small data sets for the tests of testbeds."""

import io

import numpy as np
from PIL import Image

from feint.data.testbeds import TestbedSettings, normal_sets

CLASSES = 3


def class_arrays(per_class=20, tests=10, shape=(8, 8)):
    """Return a class set in which no two images are the same, in no order of classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), per_class))
    test_labels = rng.permutation(np.repeat(np.arange(CLASSES), tests))
    return {
        "x_train": rng.integers(0, 256, (len(labels), *shape), np.uint8),
        "y_train": labels,
        "x_test": rng.integers(0, 256, (len(test_labels), *shape), np.uint8),
        "y_test": test_labels,
    }


def made(path, *tasks, seed=0, name="tiny", **settings):
    return normal_sets(path, name=name, settings=TestbedSettings(tasks=tasks, size=8, **settings), seed=seed)


def jpeg_parts(images):
    blobs = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG")
        blobs.append(file.getvalue())
    return np.frombuffer(b"".join(blobs), np.uint8), np.cumsum([0, *map(len, blobs)]), blobs


def write_jpegs(path):
    """Write a class set of JPEG images; return what it stores and the test files."""
    arrays = class_arrays(per_class=4, tests=3, shape=(32, 32, 3))
    stored = {"y_train": arrays["y_train"], "y_test": arrays["y_test"], "classes": np.array(["ant", "bee", "cow"])}
    for split in ("train", "test"):
        stored[f"{split}_bytes"], stored[f"{split}_off"], blobs = jpeg_parts(arrays[f"x_{split}"])
    np.savez(path, **stored)
    return stored, blobs


def write_category(folder):
    """Write an MVTec category: 12 normal, 4 + 3 + 2 test images, masks for two of the cracks; return its folder."""
    root = folder(
        *(f"train/good/{i}.png" for i in range(12)),
        *(f"test/good/{i}.png" for i in range(4)),
        *(f"test/crack/{i}.png" for i in range(3)),
        *(f"test/spot/{i}.png" for i in range(2)),
    )
    (root / "ground_truth/crack").mkdir(parents=True)
    mask = np.zeros((12, 16), bool)
    mask[:6, :8] = True
    Image.fromarray(mask).save(root / "ground_truth/crack/0.png")
    Image.fromarray(~mask).save(root / "ground_truth/crack/2_mask.png")
    return root
