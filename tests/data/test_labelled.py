import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.data.labelled import labelled_images
from feint.data.sewer_ml import TABLES
from feint.metrics.sewer import CODES


def test_a_category_in_the_mvtec_layout_with_both_of_its_splits(folder):
    root = folder("train/good/1.png", "test/good/1.png", "test/crack/1.png", "ground_truth/crack/1.png")
    found = labelled_images(root)
    assert found.images.names == ("train/good/1.png", "test/crack/1.png", "test/good/1.png")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.groups is None
    assert found.images.read(0).shape == (12, 16)


def test_a_folder_per_class(folder):
    root = folder("cat/1.png", "dog/sub/1.png", "cow/1.png")
    assert labelled_images(root, normal="dog").labels.tolist() == [1, 1, 0]
    with pytest.raises(InputError, match="no class 'good': say which of its classes is normal: cat, cow, dog"):
        labelled_images(root)


def test_a_loose_image_has_no_class(folder):
    root = folder("good/1.png", "bad/1.png", "2.png")
    with pytest.raises(InputError, match=r"1 images in no folder of a class, e\.g\. .*2\.png"):
        labelled_images(root)


@pytest.fixture
def table(folder):
    """Return a maker of tables beside a folder of images, of the given lines."""
    root = folder("a.png", "b.png", "c.png", "d.png")

    def write(*lines, path=root / "labels.csv"):
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_table_with_groups(table):
    found = labelled_images(table("path,label,group", "b.png,1,tile 7", "a.png,0,tile 7", "c.png,,tile 8", "d.png,0,"))
    assert found.images.names == ("b.png", "a.png", "d.png")
    assert found.labels.tolist() == [1, 0, 0]
    assert found.groups == ("tile 7", "tile 7", "")
    assert found.notes == ("1 rows of labels.csv have no label or are repeated, and were left out.",)
    assert found.images.read(2).shape == (12, 16)


def test_paths_of_a_table_are_tidied(table):
    found = labelled_images(table("path,label,group", ".\\b.png,1,x", "a.png ,0,y"))
    assert (found.images.names, found.groups) == (("b.png", "a.png"), ("x", "y"))


def test_a_table_elsewhere(table, tmp_path):
    path = table("path,label", "a.png,0", "b.png,1", path=tmp_path / "labels.csv")
    found = labelled_images(path, root=tmp_path / "images")
    assert found.images.read(1).shape == (12, 16)
    assert found.groups is None
    assert found.notes == ()


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png"])
def test_a_table_stays_in_its_folder(table, name):
    with pytest.raises(InputError, match="stay in it"):
        labelled_images(table("path,label", f"{name},0"))


def test_a_table_with_a_third_value(table):
    with pytest.raises(InputError, match=r"must be 0 \(normal\) or 1 \(anomalous\): got '2'"):
        labelled_images(table("path,label", "a.png,0", "b.png,1", "c.png,2"))


def test_a_class_set(tmp_path, pixels):
    np.savez(
        tmp_path / "small.npz",
        x_train=pixels(5, 8, 8),
        y_train=np.array([0, 1, 2, 1, 1]),
        x_test=pixels(2, 8, 8, seed=1),
        y_test=np.array([1, 0]),
    )
    found = labelled_images(tmp_path / "small.npz", normal="1")
    assert found.labels.tolist() == [1, 0, 1, 0, 0, 0, 1]
    assert found.images.names[4:] == ("train/4", "test/0", "test/1")
    assert (found.images.read(5) == pixels(2, 8, 8, seed=1)[0]).all()
    with pytest.raises(InputError, match=r"no class None: .*: 0, 1, 2\."):
        labelled_images(tmp_path / "small.npz")


def test_a_copy_of_sewer_ml(folder):
    root = folder("train00/1.png", "train00/2.png")
    header = ",".join(("Filename", *CODES, "Defect"))
    (root / TABLES["train"]).write_text(f"{header}\n2.png,{'0,' * 16}1,1\n1.png,{'0,' * 17}0\n3.png,{'0,' * 17}0\n")
    found = labelled_images(root)
    assert found.images.names == ("2.png", "1.png")
    assert found.labels.tolist() == [1, 0]
    assert found.notes == ("1 images that SewerML_Train.csv names were not found, e.g. 3.png.",)


def test_settings_that_mean_nothing(table, folder):
    path = table("path,label", "a.png,0")
    with pytest.raises(SettingError, match="normal is for folders of classes"):
        labelled_images(path, normal="good")
    with pytest.raises(SettingError, match="root is for tables"):
        labelled_images(path.parent, root=path.parent)
