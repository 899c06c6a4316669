import pytest

from feint.core.errors import InputError
from feint.data import open_images
from feint.data.labels import Labels, match, read_labels


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        return tmp_path / "labels.csv"

    return write


def test_a_table_of_labels(table):
    labels = read_labels(table('path,label\na.png,0\n"b, c/ä.png",1\n.\\d\\e.png,1\nf.png,-1\ng.png,\n'))
    assert labels.by_path == {"a.png": 0, "b, c/ä.png": 1, ".\\d\\e.png": 1}
    found = match(labels, ["d/e.png", "b, c/ä.png", "f.png"])
    assert (found.labels.tolist(), found.missing) == ([1, 1], ("f.png",))


@pytest.mark.parametrize("text", ["path,label\n a.png,1\ne\\f.png,0\n", "path;label\n a.png;1\ne\\f.png; 0\n"])
def test_a_path_is_tried_as_it_is_written(table, text):
    labels = read_labels(table(text))
    assert labels.by_path == {" a.png": 1, "e\\f.png": 0}
    assert match(labels, [" a.png", "e\\f.png"]).labels.tolist() == [1, 0]
    assert match(labels, ["x/a.png", "e/f.png"]).labels.tolist() == [1, 0]


def test_a_table_with_spaces_after_commas(table):
    labels = read_labels(table('label, path\n1, "a, b.png"\n0, c.png \n'))
    assert match(labels, ["c.png", "a, b.png"]).labels.tolist() == [0, 1]


def test_one_image_written_in_two_ways(table):
    labels = read_labels(table("path,label\na/b.png,0\na\\b.png,1\n"))
    with pytest.raises(InputError, match=r"gives a/b\.png both labels 0 and 1: keep one row"):
        match(labels, ["a/b.png"])
    assert labels.folder is None


def test_a_manifest_is_a_table_of_labels(table):
    assert read_labels(table("image_path,label_index,split\na.png,0,test\nb.png,1,test\n")).by_path == {
        "a.png": 0,
        "b.png": 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,good\n", r"label must be 0 \(normal\) or 1 \(anomalous\): got 'good'"),
        ("path,label\na.png,2\n", "got '2'"),
        ("path,label\na.png,0\na.png,1\n", "gives a.png both labels"),
        ("path,label\na.png,-1\n", "holds no label"),
        ("path,label\n", "no rows"),
        ("file,label\na.png,0\n", "no column image_path or path: its columns are file, label"),
        ("path,class\na.png,0\n", "no column label or label_index: its columns are path, class"),
    ],
)
def test_tables_that_are_no_labels(table, text, message):
    with pytest.raises(InputError, match=message):
        read_labels(table(text))


def test_a_missing_table_suggests_a_name(table, tmp_path):
    table("path,label\na.png,0\n")
    with pytest.raises(InputError, match=r"did you mean .*labels\.csv"):
        read_labels(tmp_path / "label.csv")


MVTEC = ("train/good/1.png", "test/good/1.png", "test/crack/1.png", "test/hole/good/1.png", "ground_truth/crack/1.png")


@pytest.mark.parametrize(("part", "prefix"), [("", "test/"), ("test", "")])
def test_a_test_folder(folder, part, prefix):
    root = folder(*MVTEC) / part
    labels = read_labels(root)
    expected = {"crack/1.png": 1, "good/1.png": 0, "hole/good/1.png": 1}
    assert labels.by_path == {f"{prefix}{name}": label for name, label in expected.items()}
    assert labels.names == open_images(labels.folder, role="unlabelled").names


def test_folders_that_tell_no_labels(folder, tmp_path):
    with pytest.raises(InputError, match=r"no images in 'good' \(its folders: crack\)"):
        read_labels(folder("crack/1.png"))
    with pytest.raises(InputError, match=r"e\.g\. 2\.png: move them"):
        read_labels(folder("good/1.png", "2.png", root=tmp_path / "loose"))


def test_match_by_path_then_by_folders_then_by_name():
    labels = Labels({"test/good/1.png": 0, "test/crack/1.png": 1, "x/7.png": 1, "8.png": 0}, "labels.csv")
    names = ["crack/1.png", "test/good/1.png", "other/7.png", "deep/er/8.png", "9.png"]
    found = match(labels, names)
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert found.missing == ("9.png",)


def test_rows_keep_the_order_of_names():
    found = match(Labels({"a.png": 0, "b.png": 1, "c.png": 0}, "labels.csv"), ["c.png", "x.png", "b.png"])
    assert (found.labels.tolist(), found.rows.tolist()) == ([0, 1], [0, 2])


def test_what_cannot_be_matched():
    labels = Labels({"a/1.png": 0, "b/1.png": 1}, "labels.csv")
    with pytest.raises(InputError, match=r"1\.png may be a/1\.png or b/1\.png in labels\.csv"):
        match(labels, ["1.png"])
    with pytest.raises(InputError, match=r"the label of 1\.png .* fits both x/1\.png and y/1\.png"):
        match(Labels({"1.png": 0}, "labels.csv"), ["x/1.png", "y/1.png"])
    with pytest.raises(InputError, match=r"none of the 1 images has a label in labels\.csv: it names e\.g\. a/1\.png"):
        match(labels, ["2.png"])
