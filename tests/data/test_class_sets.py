import gzip
import pickle
import struct

import numpy as np
import pytest
from scipy.io import savemat

from feint.core.errors import InputError
from feint.data.class_sets import read_class_set


@pytest.fixture
def idx(tmp_path, pixels):
    """Write the four idx files of a tiny set; return its folder and arrays."""

    def write(ending="", mark="-"):
        arrays = {
            "train-images": pixels(6, 9, 8),
            "train-labels": np.arange(6, dtype=np.uint8),
            "t10k-images": pixels(4, 9, 8, seed=1),
            "t10k-labels": np.arange(4, dtype=np.uint8)[::-1],
        }
        root = tmp_path / "fashion"
        root.mkdir()
        for stem, array in arrays.items():
            data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            path = root / f"{stem}{mark}idx{array.ndim}-ubyte{ending}"
            path.write_bytes(gzip.compress(data) if ending else data)
        return root, arrays

    return write


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_idx_files(idx, ending, mark):
    root, arrays = idx(ending, mark)
    found = read_class_set(root)
    for part, array in zip((found.x_train, found.y_train, found.x_test, found.y_test), arrays.values(), strict=True):
        assert np.array_equal(part, array)
    assert found.name == "fashion"
    assert found.y_train.dtype == np.int64


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_damaged_idx_files(idx, ending):
    root, _ = idx(ending)
    path = root / f"train-images-idx3-ubyte{ending}"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="cut short|cannot be read as an idx file"):
        read_class_set(root)
    path.write_bytes((root / f"train-labels-idx1-ubyte{ending}").read_bytes())
    with pytest.raises(InputError, match="no idx file of bytes with 3 axes"):
        read_class_set(root)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read as an idx file|cut short"):
        read_class_set(root)
    path.write_bytes(whole)
    (root / f"t10k-labels-idx1-ubyte{ending}").unlink()
    with pytest.raises(InputError, match="has no t10k-labels-idx1-ubyte"):
        read_class_set(root)


@pytest.fixture
def cifar(tmp_path):
    """Write CIFAR-10's six binary files, three images each; return the images by file."""
    rng = np.random.default_rng(0)
    images = {}
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        images[name] = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
        planes = images[name].transpose(0, 3, 1, 2).reshape(3, -1)
        rows = np.concatenate([np.array([[7], [8], [9]], np.uint8), planes], axis=1)
        (tmp_path / name).write_bytes(rows.tobytes())
    return tmp_path, images


def test_cifar_binary(cifar):
    root, images = cifar
    found = read_class_set(root)
    assert np.array_equal(found.x_train, np.concatenate([images[f"data_batch_{i}.bin"] for i in range(1, 6)]))
    assert np.array_equal(found.x_test, images["test_batch.bin"])
    assert found.y_test.tolist() == [7, 8, 9]


def test_damaged_cifar(cifar):
    root, _ = cifar
    (root / "data_batch_3.bin").write_bytes(b"x" * 3072)
    with pytest.raises(InputError, match=r"data_batch_3\.bin is cut short"):
        read_class_set(root)
    (root / "data_batch_3.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_3\.bin does not exist"):
        read_class_set(root)


def test_cifar_pickles_are_refused(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({b"data": b""}))
    for path in (tmp_path, tmp_path / "data_batch_1"):
        with pytest.raises(InputError, match=r"give the binary version \(cifar-10-binary\.tar\.gz"):
            read_class_set(path)


def test_svhn(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    for split in ("train", "test"):
        digits = np.array([[1], [10], [3], [9], [10]], np.uint8)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": digits})
    found = read_class_set(tmp_path)
    assert np.array_equal(found.x_train, images)
    assert found.y_test.tolist() == [1, 0, 3, 9, 0]
    (tmp_path / "test_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    with pytest.raises(InputError, match="cannot be read as SVHN's .mat file"):
        read_class_set(tmp_path)


def test_npz(tmp_path, pixels):
    path = tmp_path / "tiny.npz"
    arrays = {
        "x_train": pixels(5, 8, 8, 3),
        "y_train": np.arange(5)[:, None],
        "x_test": pixels(2, 8, 8, 3),
        "y_test": np.arange(2),
    }
    np.savez_compressed(path, **arrays)
    found = read_class_set(path)
    assert found.name == "tiny"
    assert np.array_equal(found.x_train, arrays["x_train"])
    assert found.y_train.shape == (5,)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_train": np.zeros((5, 8, 8))}, "train images must be uint8 .* got float64"),
        ({"x_test": np.zeros((2, 3, 8, 8), np.uint8)}, "test images must be uint8 of shape"),
        ({"y_train": np.arange(4)}, "train classes must be 5 integers"),
        ({"y_test": np.array(["a", "b"])}, "test classes must be 2 integers"),
        ({"y_test": np.array([{}, {}], dtype=object)}, "pickled Python objects, which Feint never loads"),
    ],
)
def test_npz_of_another_kind(tmp_path, pixels, changed, message):
    arrays = {"x_train": pixels(5, 8, 8), "y_train": np.arange(5), "x_test": pixels(2, 8, 8), "y_test": np.arange(2)}
    np.savez(tmp_path / "a.npz", **(arrays | changed))
    with pytest.raises(InputError, match=message):
        read_class_set(tmp_path / "a.npz")


def test_npz_without_the_keys(tmp_path, pixels):
    np.savez(tmp_path / "a.npz", images=pixels(5, 8, 8))
    with pytest.raises(InputError, match="must hold x_train, y_train, x_test, y_test: got images"):
        read_class_set(tmp_path / "a.npz")


def test_nothing_known(tmp_path):
    with pytest.raises(InputError, match="holds no class set: give an .npz file"):
        read_class_set(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="is no class set"):
        read_class_set(tmp_path / "a.txt")
    with pytest.raises(InputError, match="does not exist"):
        read_class_set(tmp_path / "b.npz")
