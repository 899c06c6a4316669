import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from feint.data import decode, groups_of_duplicates, near_duplicates, open_images
from feint.data.duplicates import THUMBNAIL_SIDE, pixel_hash, thumbnail


def scene(seed: int, side: int = 160) -> np.ndarray:
    """Return a grey picture of a part: the same shape in every one, with a texture of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    part = 90 + 90 * (x**2 + y**2 < 0.6)
    blobs = Image.fromarray(rng.normal(0, 1, (side // 8, side // 8)).astype(np.float32)).resize((side, side))
    return (part + 8 * np.asarray(blobs) + rng.normal(0, 3, (side, side))).clip(0, 255).astype(np.uint8)


def resaved(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


SAME_SHOT = {
    "jpeg 90": lambda a: resaved(a, 90),
    "jpeg 60": lambda a: resaved(a, 60),
    "half size": lambda a: np.asarray(Image.fromarray(a).resize((80, 80), Image.Resampling.LANCZOS)),
    "brighter": lambda a: a + np.uint8(10),
    "less contrast": lambda a: (a * 0.9).astype(np.uint8),
    "16 bit": lambda a: a.astype(np.uint16) * 257,
    "colour": lambda a: np.stack([a] * 3, axis=-1),
    "sharper": lambda a: np.asarray(Image.fromarray(a).filter(ImageFilter.SHARPEN)),
}


def test_exact_duplicates_across_formats_and_modes(tmp_path, pixels):
    a, b = pixels(20, 20, seed=1), pixels(20, 20, seed=2)
    Image.fromarray(a).save(tmp_path / "1.png")
    Image.fromarray(a).save(tmp_path / "2.bmp")
    Image.fromarray(a).convert("RGB").save(tmp_path / "3.webp", lossless=True)
    Image.fromarray(a).save(tmp_path / "4.tif", compression="tiff_lzw")
    Image.fromarray(b).save(tmp_path / "5.png")
    found = decode(open_images(tmp_path, role="normal"), [], workers=2)
    assert groups_of_duplicates(found.hashes) == [[0, 1, 2, 3]]


def test_the_same_bytes_in_another_shape_are_another_image(pixels):
    image = pixels(16, 9)
    assert pixel_hash(image) == pixel_hash(image.copy())
    assert pixel_hash(image) != pixel_hash(image.reshape(9, 16))
    assert pixel_hash(np.zeros((8, 8), np.uint8)) != pixel_hash(np.zeros((8, 4), np.uint16))


def triangles(length: int) -> np.ndarray:
    """Return the weights (16, length) of overlapping averages whose weight falls off linearly over one cell."""
    cell = length / THUMBNAIL_SIDE
    centres = (np.arange(THUMBNAIL_SIDE) + 0.5) * cell
    weights = np.clip(1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / cell, 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("shape", "error"), [((80, 48), 1e-5), ((75, 33), 1e-5), ((600, 410), 0.01)])
def test_a_thumbnail_is_a_weighted_mean(pixels, shape, error):
    image = pixels(*shape)
    expected = triangles(shape[0]) @ (image / 255) @ triangles(shape[1]).T
    assert np.abs(thumbnail(image) - expected).max() < error


@pytest.mark.parametrize("change", SAME_SHOT)
def test_another_save_of_a_shot_is_found(change):
    shots = np.stack([thumbnail(scene(seed)) for seed in range(5)])
    changed = np.stack([thumbnail(SAME_SHOT[change](scene(seed))) for seed in range(5)])
    assert near_duplicates(changed, shots).tolist() == [[i, i] for i in range(5)]
    both = near_duplicates(np.concatenate([shots, changed]))
    assert both.tolist() == [[i, i + 5] for i in range(5)]


def test_other_parts_of_one_kind_are_not(pixels):
    shots = np.stack([thumbnail(scene(seed)) for seed in range(200)])
    assert len(near_duplicates(shots)) == 0


def test_blank_images_are_not_called_alike():
    blank = np.random.default_rng(0).normal(0.5, 0.2 / 255, (1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(np.float32)
    assert len(near_duplicates(np.repeat(blank, 5, axis=0))) == 0


def test_blocks_do_not_matter():
    rng = np.random.default_rng(0)
    thumbnails = rng.random((1300, THUMBNAIL_SIDE, THUMBNAIL_SIDE)).astype(np.float32)
    planted = [(3, 1299), (511, 512), (600, 1100)]
    for i, j in planted:
        thumbnails[j] = 0.9 * thumbnails[i] + 0.02
    assert near_duplicates(thumbnails).tolist() == [list(pair) for pair in planted]


def test_the_number_of_pairs_is_bounded():
    thumbnails = np.repeat(np.random.default_rng(0).random((1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)), 3000, axis=0)
    assert near_duplicates(thumbnails.astype(np.float32), limit=50).shape == (50, 2)


def test_nothing_to_compare():
    none = np.zeros((0, THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.float32)
    assert near_duplicates(none).shape == (0, 2)
