import shutil

import numpy as np
import pytest
from small_testbeds import made, write_category

from feint.core.errors import InputError, SettingError
from feint.data.testbeds import TestbedSettings, normal_names


@pytest.fixture
def tile(folder):
    """Write a small MVTec category; return its folder."""
    return write_category(folder)


def test_folders_of_classes_are_split(folder):
    root = folder(*(f"{kind}/{i}.png" for kind in ("bolt", "nut") for i in range(10)))
    sets = made(root, "one-vs-one", name="parts")
    assert [each.normal for each in sets] == ["bolt", "nut"]
    for each in sets:
        assert each.train.shape == (8, 1, 8, 8)
        assert np.bincount(each.kinds).tolist() == [2, 2]
        assert all(name.startswith(("bolt/", "nut/")) for name in each.ids)
    tested = {image.tobytes() for image in sets[0].test}
    assert not tested & {image.tobytes() for each in sets for image in each.train}
    assert made(root, "one-vs-one", name="parts", seed=1)[0].ids != sets[0].ids


def test_folders_of_classes_with_their_own_split(folder):
    root = folder(*(f"train/{kind}/{i}.png" for kind in "ab" for i in range(3)), "test/a/x.png", "test/c/y.png")
    sets = made(root, "one-vs-one", name="parts")
    assert [(each.normal, len(each.train), each.ids) for each in sets] == [("a", 3, ("test/a/x.png", "test/c/y.png"))]
    assert sets[0].tasks[0].anomaly == "c"
    with pytest.raises(SettingError, match="normal 'c' is unknown: there are a"):
        made(root, "one-vs-one", name="parts", normal=("c",))


def test_defect_types(tile):
    (found,) = made(tile, "defect-types", "controlled", name="tiles")
    assert (found.data, found.normal) == ("tiles", "images")
    assert found.names == ("images", "crack", "spot", "flip", "cutout", "invert")
    assert [(task.testbed, task.anomaly) for task in found.tasks] == [
        ("defect-types", "crack"), ("defect-types", "spot"),
        ("controlled", "flip"), ("controlled", "cutout"), ("controlled", "invert"),
    ]  # fmt: skip
    assert [len(pool) for pool in found.pools] == [7, 6, 8, 8, 8]
    assert found.ids[:4] == ("test/crack/0.png", "test/crack/1.png", "test/crack/2.png", "test/good/0.png")
    assert found.ids[9] == "test/good/0.png:flip"
    assert found.train.shape == (12, 1, 8, 8)


def test_masks(tile):
    (found,) = made(tile, "defect-types", "controlled", name="tiles")
    corner = np.zeros((8, 8), bool)
    corner[:4, :4] = True
    assert found.masks.shape == (21, 8, 8)
    assert np.array_equal(found.masks[0], corner)
    assert np.array_equal(found.masks[2], ~corner)
    assert not found.masks[3:9].any()
    assert found.masked.tolist() == [
        True,
        False,
        True,
        *[True] * 4,
        False,
        False,
        *[False] * 4,
        *[True] * 4,
        *[False] * 4,
    ]
    changed = (found.test[13:17] != found.test[3:7])[:, 0]
    assert (found.masks[13:17] >= changed).all()
    assert (found.masks[13:17].sum((1, 2)) == found.boxes[:, 2] * found.boxes[:, 3]).all()
    (tile / "ground_truth/crack/0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"0\.png cannot be read as a mask"):
        made(tile, "defect-types", name="tiles")
    shutil.rmtree(tile / "ground_truth")
    assert made(tile, "defect-types", name="tiles")[0].masks is None


def test_defects_hidden_in_train_leave_the_test(tile):
    (whole,) = made(tile, "defect-types", name="tiles")
    for seed in range(5):
        (found,) = made(tile, "defect-types", name="tiles", contamination=0.2, seed=seed)
        assert len(found.hidden) == 3
        assert set(found.hidden) | set(found.ids) == set(whole.ids)
        assert not set(found.hidden) & set(found.ids)
        assert set(found.kinds) == {0, 1, 2}  # one of each is left
        expected = whole.test[[whole.ids.index(each) for each in found.hidden]]
        assert np.array_equal(found.train[-3:], expected)
    with pytest.raises(SettingError, match=r"needs 5 anomalous images for images, but 3 can be spared"):
        made(tile, "defect-types", name="tiles", contamination=0.3)


def test_a_folder_of_categories(tile, tmp_path):
    root = tmp_path / "all"
    for name in ("wood", "metal"):
        shutil.copytree(tile, root / name)
    settings = TestbedSettings(tasks=("defect-types",), normal=("wood",))
    assert normal_names(root, name="mvtec", settings=settings) == ["wood"]
    sets = made(root, "defect-types", name="mvtec")
    assert [each.normal for each in sets] == ["metal", "wood"]
    assert made(tmp_path, "defect-types", name="all")[1].ids == sets[1].ids
    with pytest.raises(SettingError, match="'steel' is unknown: there are metal, wood"):
        made(root, "defect-types", name="mvtec", normal=("steel",))


def test_an_unreadable_picture_is_skipped_and_told(tile):
    (tile / "test/crack/1.png").write_bytes(b"")
    (tile / "train/good/3.png").write_bytes(b"no image")
    (found,) = made(tile, "defect-types", name="tiles")
    assert found.skipped == (
        "train/good/3.png: not a PNG, JPEG, BMP, TIFF or WebP image",
        "test/crack/1.png: empty file (0 bytes)",
    )
    assert len(found.train) == 11
    assert found.ids[:2] == ("test/crack/0.png", "test/crack/2.png")
    assert found.kinds.tolist() == [1, 1, 0, 0, 0, 0, 2, 2]
    for i in (0, 2):
        (tile / f"test/crack/{i}.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of the test pictures of crack in tiles can be read"):
        made(tile, "defect-types", name="tiles")


def test_data_that_are_absent_or_empty(tile, folder, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        made(tmp_path / "nothing", "one-vs-one")
    root = folder("a/1.png", root=tmp_path / "classes")
    with pytest.raises(InputError, match="holds 1 classes: give a folder with one folder of images per class"):
        made(root, "one-vs-one")
    for kind in ("b", "c"):
        (root / kind).mkdir()
    with pytest.raises(InputError, match=r"(?s)no images in .*/b.*no images in .*/c"):
        made(root, "one-vs-one")
    shutil.move(tile / "test/good", tile / "test/crack/good")
    shutil.copy(tile / "train/good/0.png", tile / "test/loose.png")
    with pytest.raises(InputError, match="1 test images lie in no folder of a kind.*there are no images in test/good"):
        made(tile, "defect-types")


def test_a_class_of_one_picture_cannot_be_normal(folder):
    root = folder("a/1.png", *(f"b/{i}.png" for i in range(5)))
    assert [each.normal for each in made(root, "one-vs-one", name="parts")] == ["b"]
