import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from feint.core.errors import SettingError
from feint.data import UnreadableImageError, open_images, plan_preprocessing, preprocess, survey
from feint.records.run import PreprocessingRecord


def plan(*images: np.ndarray, image_size: int = 64) -> PreprocessingRecord:
    return plan_preprocessing(survey(several(*images)), image_size=image_size)


def several(*images: np.ndarray):
    """Return an image set of arrays of different sizes."""
    first = open_images(images[0][None], role="normal")
    return type(first)(names=tuple(str(i) for i in range(len(images))), source="array", layout="array", items=images)


def record(channels=1, height=16, width=16, white=255):
    return PreprocessingRecord(channels=channels, height=height, width=width, white=white)


@pytest.mark.parametrize(
    ("size", "image_size", "expected"),
    [
        ((28, 28), 64, (28, 28)),
        ((30, 30), 64, (32, 32)),
        ((64, 48), 64, (64, 48)),
        ((300, 300), 64, (64, 64)),
        ((300, 300), 128, (128, 128)),
        ((448, 178), 64, (104, 40)),
        ((1000, 100), 64, (112, 40)),
        ((100, 1000), 64, (40, 112)),
        ((20, 100), 64, (24, 80)),
        ((8, 8), 64, (8, 8)),
    ],
)
def test_size_of_images_of_one_size(size, image_size, expected):
    found = plan(*[np.zeros(size, np.uint8)] * 3, image_size=image_size)
    assert (found.height, found.width) == expected


def test_size_of_mixed_images_is_the_median_aspect():
    sizes = [(300, 300), (300, 150), (300, 100), (50, 500), (400, 200)]
    found = plan(*[np.zeros(size, np.uint8) for size in sizes])
    assert (found.height, found.width) == (88, 48)  # aspect 2: 90.5 x 45.3


def test_small_mixed_images_are_not_enlarged():
    found = plan(np.zeros((28, 28), np.uint8), np.zeros((30, 28), np.uint8), np.zeros((28, 30), np.uint8))
    assert max(found.height, found.width) <= 32


@given(st.lists(st.tuples(st.integers(8, 700), st.integers(8, 700)), min_size=1, max_size=9), st.integers(8, 256))
@settings(max_examples=80, deadline=None)
def test_planned_sizes_are_sound(sizes, image_size):
    found = plan(*[np.broadcast_to(np.uint8(0), size) for size in sizes], image_size=image_size)
    same = len(set(sizes)) == 1 and max(sizes[0]) <= image_size
    for side in (found.height, found.width):
        assert side >= 8
        assert side % (4 if same else 8) == 0
    if same:
        assert 0 <= found.height - sizes[0][0] < 4
        assert 0 <= found.width - sizes[0][1] < 4
    else:  # each side is rounded by at most 4 pixels, and tiny ones are lifted to 8
        assert max(8, found.height - 4) * max(8, found.width - 4) <= max(image_size**2, 4 * 8 * 14)
        assert found.height - 4 <= 3.01 * (found.width + 4)
        assert found.width - 4 <= 3.01 * (found.height + 4)


@given(
    st.integers(8, 90), st.integers(8, 90), st.sampled_from([(), (3,)]), st.sampled_from([1, 3]),
    st.sampled_from(["uint8", "uint16", "float32"]), st.integers(8, 40), st.integers(8, 40),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_every_input_has_the_planned_shape(h, w, colour, channels, dtype, height, width):
    image = (
        np.random.default_rng(h * w).random((h, w, *colour)) * {"uint8": 255, "uint16": 4095}.get(dtype, 1)
    ).astype(dtype)
    found = preprocess(image, record(channels, height, width, 4095))
    assert found.shape == (channels, height, width)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    white = {"uint8": 255, "uint16": 4095}.get(dtype, 1)
    assert image.min() / white * 255 - 2 <= found.min()
    assert found.max() <= image.max() / white * 255 + 2


@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 255))
@settings(max_examples=30, deadline=None)
def test_a_flat_image_stays_flat(h, w, value):
    assert (preprocess(np.full((h, w, 3), value, np.uint8), record(3)) == value).all()


def test_shrinking_by_a_whole_factor_is_nearly_the_mean_of_cells(pixels):
    ramp = np.add.outer(np.arange(128.0), np.arange(128.0)).astype(np.uint8)
    expected = ramp.reshape(16, 8, 16, 8).mean((1, 3))
    assert np.abs(preprocess(ramp, record())[0] - expected)[1:-1, 1:-1].max() <= 1


def test_a_fine_line_does_not_vanish():
    image = np.full((512, 512), 200, np.uint8)
    image[:, 251] = 0
    found = preprocess(image, record())[0]
    darkness = (200 - found.astype(float)).sum(axis=1)
    assert np.abs(darkness - 200 / 32).max() <= 1.5  # its share of a cell
    assert found.max() == 200  # and does not ring


def test_native_size_is_exact(pixels):
    image = pixels(28, 28)
    assert np.array_equal(preprocess(image, plan(image, image))[0], image)


def test_colour_becomes_grey_by_luma(pixels):
    image = pixels(16, 16, 3)
    expected = image @ np.array([0.299, 0.587, 0.114])
    assert np.abs(preprocess(image, record())[0] - expected).max() <= 1
    equal = np.repeat(pixels(16, 16, 1), 3, axis=2)
    assert np.array_equal(preprocess(equal, record())[0], equal[..., 0])


def test_grey_becomes_colour_by_copies(pixels):
    image = pixels(16, 16)
    assert np.array_equal(preprocess(image, record(3)), np.stack([image] * 3))


def test_channels_of_a_colour_image_keep_their_order(pixels):
    image = pixels(16, 16, 3)
    assert np.array_equal(preprocess(image, record(3)), image.transpose(2, 0, 1))


def test_grey_saved_as_rgb_counts_as_grey(tmp_path, pixels):
    for i in range(40):
        Image.fromarray(pixels(12, 12, seed=i)).convert("RGB").save(tmp_path / f"{i:02d}.png")
    images = open_images(tmp_path, role="normal")
    assert plan_preprocessing(survey(images), image_size=64).channels == 1
    Image.fromarray(pixels(12, 12, 3)).save(tmp_path / "00.png")
    found = survey(images)
    assert found.colour
    assert plan_preprocessing(found, image_size=64).channels == 3


@pytest.mark.parametrize(
    ("maximum", "dtype", "white"),
    [
        (255, "uint8", 255),
        (250, "uint16", 255),
        (256, "uint16", 1023),
        (4000, "uint16", 4095),
        (4096, "uint16", 16383),
        (65535, "uint16", 65535),
        (0.8, "float32", 1),
    ],
)
def test_white_is_the_smallest_usual_level_that_holds_the_maximum(maximum, dtype, white):
    image = np.zeros((9, 9), dtype)
    image[4, 4] = maximum
    assert plan(np.zeros((9, 9), np.uint8), image).white == white


def test_depths_agree():
    ramp = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    whole = preprocess(np.rint(ramp * 255).astype(np.uint8), record(white=4095)).astype(int)
    twelve = preprocess(np.rint(ramp * 4095).astype(np.uint16), record(white=4095)).astype(int)
    unit = preprocess(ramp.astype(np.float32), record(white=4095)).astype(int)
    assert np.abs(whole - twelve).max() <= 1
    assert np.abs(whole - unit).max() <= 1


def test_deep_colour():
    image = (np.random.default_rng(0).random((16, 16, 3)) * 4095).astype(np.uint16)
    assert np.array_equal(
        preprocess(image, record(3, white=4095)), np.rint(image / np.float32(4095) * 255).transpose(2, 0, 1)
    )


def test_a_few_pixels_above_white_are_clipped_and_another_depth_is_refused():
    image = np.full((16, 16), 100, np.uint16)
    image[3, 3] = 60000
    assert preprocess(image, record())[0, 3, 3] == 255
    with pytest.raises(UnreadableImageError, match="another bit depth: half of its pixels are 31000 or more"):
        preprocess(np.full((16, 16), 31000, np.uint16), record())


def test_an_impossible_image_size():
    with pytest.raises(SettingError, match="at least 8 pixels: got 4"):
        plan(np.zeros((9, 9), np.uint8), image_size=4)
