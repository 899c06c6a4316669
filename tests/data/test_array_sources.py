import pickle

import numpy as np
import pytest

from feint.core.errors import InputError
from feint.data import decode, open_images, survey


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        ((5, 9, 11), (9, 11)),
        ((5, 9, 11, 1), (9, 11)),
        ((5, 1, 9, 11), (9, 11)),
        ((5, 9, 11, 3), (9, 11, 3)),
        ((5, 3, 9, 11), (9, 11, 3)),
        ((5, 4, 9, 11), (9, 11, 3)),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float64"])
def test_shapes_and_depths(shape, image, dtype):
    array = np.random.default_rng(0).random(shape)
    array = (array * (200 if dtype == "uint8" else 4000)).astype(dtype) if dtype != "float64" else array
    images = open_images(array, role="normal")
    assert images.names == tuple(f"image-{i:05d}" for i in range(5))
    assert images.read(3).shape == image
    assert images.read(3).dtype == {"uint8": np.uint8, "float64": np.float32}.get(dtype, np.uint16)
    if 3 in shape:
        plain = array if shape[-1] == 3 else np.moveaxis(array, 1, -1)
        assert np.array_equal(images.read(3), plain[3].astype(images.read(3).dtype))
    found = survey(images)
    assert found.sizes.tolist() == [[9, 11]] * 5
    assert (found.maximum is None) == (dtype == "uint8")


@pytest.mark.parametrize("white", [255, 65535, 1.0])
def test_transparent_pixels_are_white(white):
    array = np.zeros((1, 8, 8, 4), {255: np.uint8, 65535: np.uint16, 1.0: np.float32}[white])
    assert (open_images(array, role="normal").read(0) == white).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((28, 28), np.uint8), r"got \(28, 28\)\. One image\? Pass image\[None\]"),
        (np.zeros((28, 28, 3), np.uint8), r"One image\? Pass image\[None\]"),
        (np.zeros((9, 3, 28, 3), np.uint8), r"may be \(n, h, w, c\) or \(n, c, h, w\)"),
        (np.zeros((9, 28, 28, 2), np.uint8), r"must have shape .*: got \(9, 28, 28, 2\)\.$"),
        (np.zeros((0, 28, 28), np.uint8), "holds no image"),
        (np.zeros((9, 28, 28), np.int64), r"must be uint8, uint16 or float in \[0, 1\]: got int64"),
        (np.full((300, 8, 8), 255.0), r"must lie in \[0, 1\]: got 255 to 255"),
    ],
)
def test_refused_arrays(array, message):
    with pytest.raises(InputError, match=message):
        open_images(array, role="normal")


def test_one_image_that_is_not_finite_is_skipped():
    array = np.random.default_rng(0).random((4, 9, 9))
    array[2, 0, 0] = np.nan
    found = decode(open_images(array, role="normal"), [], workers=1)
    assert found.names == ("image-00000", "image-00001", "image-00003")
    assert found.skipped[0].reason == "holds pixels that are not finite numbers (NaN or infinity)"


def test_array_files(tmp_path, pixels):
    array = pixels(3, 9, 9)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", anything=array)
    for name in ("a.npy", "a.npz"):
        assert np.array_equal(open_images(tmp_path / name, role="normal").read(2), array[2])
    np.savez(tmp_path / "b.npz", x=array, y=array)
    with pytest.raises(InputError, match=r"holds 2 arrays \(x, y\)"):
        open_images(tmp_path / "b.npz", role="normal")


class Bomb:
    def __reduce__(self):
        return (open, ("/nonexistent/feint-was-unpickled", "w"))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickles_are_refused_not_run(tmp_path, name):
    array = np.array([Bomb()], dtype=object)
    save = np.save if name.endswith("npy") else np.savez
    save(tmp_path / name, array, allow_pickle=True)
    with pytest.raises(InputError, match="pickled Python objects, which Feint never loads"):
        open_images(tmp_path / name, role="normal")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_damaged_array_files(tmp_path, pixels, name):
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, pixels(9, 9, 9))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read as a numpy file"):
        open_images(tmp_path / name, role="normal")
    (tmp_path / name).write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(InputError, match="cannot be read as a numpy file"):
        open_images(tmp_path / name, role="normal")
