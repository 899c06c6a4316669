import io
import shutil

import numpy as np
import pytest
from PIL import Image
from small_testbeds import class_arrays, jpeg_parts, made, write_category, write_jpegs

from feint.core.errors import InputError, SettingError
from feint.data.class_sets import read_class_set
from feint.data.testbeds import TestbedSettings, fingerprint, normal_sets, task_names


@pytest.fixture
def jpegs(tmp_path):
    """Write a class set of JPEG images; return its path, what it stores and the test files."""
    return tmp_path / "jpegs.npz", *write_jpegs(tmp_path / "jpegs.npz")


@pytest.fixture
def tile(folder):
    """Write a small MVTec category; return its folder."""
    return write_category(folder)


@pytest.fixture
def npz(tmp_path):
    np.savez(tmp_path / "tiny.npz", **class_arrays())
    return tmp_path / "tiny.npz"


def cifar100(root, rng):
    """Write CIFAR-100's binary files: fine class i of the coarse class 99; return the test images."""
    root.mkdir()
    for name, count in (("train.bin", 6), ("test.bin", 4)):
        images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = np.stack([np.full(count, 99), np.arange(count) % 2 + 40], axis=1).astype(np.uint8)
        rows = np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(count, -1)], axis=1)
        (root / name).write_bytes(rows.tobytes())
    (root / "fine_label_names.txt").write_text("\n".join(f"thing{i}" for i in range(100)))
    return images


def test_cifar100_by_number_or_name(tmp_path):
    images = cifar100(tmp_path / "cifar100", np.random.default_rng(0))
    assert read_class_set(tmp_path / "cifar100").y_test.tolist() == [40, 41, 40, 41]
    settings = TestbedSettings(tasks=("one-vs-one",), normal=("thing41",), anomalies=("40",))
    found = normal_sets(tmp_path, name="cifar100", settings=settings, seed=0)
    assert [(each.normal, each.tasks[0].anomaly) for each in found] == [("41", "40")]
    assert np.array_equal(found[0].test, images.transpose(0, 3, 1, 2))
    (tmp_path / "cifar100/test.bin").write_bytes(b"x" * 3073)
    with pytest.raises(InputError, match=r"test\.bin is cut short: 3073 bytes are no multiple of 3074"):
        read_class_set(tmp_path / "cifar100")


def test_jpeg_sets(jpegs):
    path, stored, blobs = jpegs
    expected = np.stack([np.asarray(Image.open(io.BytesIO(blob))) for blob in blobs])
    assert np.array_equal(read_class_set(path).x_test, expected)
    found = normal_sets(path, name="jpegs", settings=TestbedSettings(tasks=("controlled",), normal=("bee",)), seed=0)[0]
    chosen = stored["y_test"] == 1
    assert (found.normal, found.test.shape) == ("1", (12, 3, 32, 32))
    assert np.array_equal(found.test[:3], expected[chosen].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_off": np.array([0, 5, 4])}, "the offsets must rise from 0"),
        ({"test_bytes": np.zeros(10**5, np.uint8)}, "test: image 0 is no readable JPEG"),
        ({"test_off": None}, "must hold x_train, y_train, x_test, y_test"),
        ({"y_test": np.arange(4)}, "9 test images for 4 classes"),
    ],
)
def test_damaged_jpeg_sets(jpegs, changed, message):
    path, stored, _ = jpegs
    np.savez(path, **{key: value for key, value in (stored | changed).items() if value is not None})
    with pytest.raises(InputError, match=message):
        made(path, "one-vs-rest", name="jpegs")


def test_jpegs_of_two_sizes(jpegs):
    path, stored, _ = jpegs
    images = [np.zeros((8 + i // 8, 8, 3), np.uint8) for i in range(9)]
    stored["test_bytes"], stored["test_off"], _ = jpeg_parts(images)
    np.savez(path, **stored)
    with pytest.raises(InputError, match=r"image 8 has shape \(9, 8, 3\), others \(8, 8, 3\)"):
        made(path, "one-vs-rest", name="jpegs")


def test_names_come_without_decoding(tile, jpegs):
    for file in tile.rglob("*.png"):
        file.write_bytes(b"no image")
    settings = TestbedSettings(tasks=("defect-types",))
    assert task_names(tile, name="tiles", settings=settings) == {
        "images": [("defect-types", "crack"), ("defect-types", "spot")]
    }
    path, stored, _ = jpegs
    np.savez(path, **(stored | {"test_bytes": np.zeros(10**5, np.uint8)}))
    settings = TestbedSettings(tasks=("controlled",), normal=("0", "cow"))
    assert task_names(path, name="jpegs", settings=settings) == {
        normal: [("controlled", made) for made in ("flip", "cutout", "invert")] for normal in ("0", "2")
    }


def test_the_fingerprint_is_that_of_the_content(tile, npz, tmp_path):
    for path, file in ((tile, tile / "ground_truth/crack/0.png"), (tile, tile / "train/good/3.png"), (npz, npz)):
        before = fingerprint(path, name="tiny")
        moved = tmp_path / f"moved{file.name}" / path.name
        moved.parent.mkdir()
        (shutil.copytree if path.is_dir() else shutil.copy)(path, moved)
        assert fingerprint(moved, name="tiny") == before
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
        if path is tile:
            assert fingerprint(path, name="tiny") != before
    (tile / "notes.txt").write_text("x")
    assert fingerprint(tile, name="tiny") == fingerprint(tile, name="other")


def test_all_problems_of_the_settings_in_one_message():
    with pytest.raises(SettingError) as caught:
        TestbedSettings(
            tasks=("one-vs-on", "controlled"), anomalies=("1",), size=4, train_limit=0, test_limit=-1,
            contamination=0.7, anomaly_share=1.0,
        )  # fmt: skip
    for part in (
        "task 'one-vs-on' is unknown: did you mean 'one-vs-one'?",
        "size must be at least 8: got 4",
        "train_limit must be at least 1: got 0",
        "test_limit must be at least 1: got -1",
        "contamination must be in [0, 0.5]: got 0.7",
        "anomaly_share must be in (0, 1): got 1.0",
        "anomalies is for one-vs-one alone",
    ):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match="tasks must name at least one of one-vs-one, one-vs-rest, controlled"):
        TestbedSettings(tasks=())
    with pytest.raises(SettingError, match="contamination needs real anomalies"):
        TestbedSettings(tasks=("controlled",), contamination=0.1)
    with pytest.raises(SettingError, match="size must be at least 8: got nan"):
        TestbedSettings(tasks=("controlled",), size=float("nan"))


def test_all_problems_with_the_data_in_one_message(jpegs, tile):
    with pytest.raises(SettingError) as caught:
        made(jpegs[0], "one-vs-one", "defect-types", normal=("bea", "7"), anomalies=("cwo",), name="jpegs")
    for part in (
        "normal 'bea' is unknown: did you mean 'bee'?",
        "normal '7' is unknown: there are 0, 1, 2, ant, bee, cow",
        "anomaly 'cwo' is unknown: did you mean 'cow'?",
        "defect-types makes no sense",
    ):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match="one-vs-one makes no sense for .*, which holds categories with defects"):
        made(tile, "one-vs-one", name="tiles")
    with pytest.raises(SettingError, match="nothing is to be told from 0"):
        made(jpegs[0], "one-vs-one", normal=("0",), anomalies=("ant",), name="jpegs")
