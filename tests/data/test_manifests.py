import builtins
import importlib.util

import pytest

from feint.core.errors import InputError
from feint.data import open_images, survey

ROWS = """image_path,label_index,split,mask_path
train/a.png,0,train,
train/b.png,1,train,
train/c d.png,,Train,
test/ä.png,1,test,masks/a.png
test/e.png,0,unlabelled,
val/f.png,0,val,
"""
FILES = ("train/a.png", "train/b.png", "train/c d.png", "test/ä.png", "test/e.png", "val/f.png")


@pytest.fixture
def manifest(folder):
    def write(text, name="manifest.csv", encoding="utf-8"):
        path = folder(*FILES) / name
        path.write_text(text, encoding=encoding)
        return path

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_roles_by_split(manifest, encoding, delimiter):
    path = manifest(ROWS.replace(",", delimiter), encoding=encoding)
    normal = open_images(path, role="normal")
    assert normal.names == ("train/a.png", "train/c d.png")
    assert normal.layout == "manifest"
    assert normal.read(1).shape == (12, 16)
    assert open_images(path, role="unlabelled").names == ("test/ä.png", "test/e.png")


def test_parquet_is_read_like_csv(manifest):
    import pandas as pd

    path = manifest(ROWS)
    pd.read_csv(path).to_parquet(path.with_suffix(".parquet"))  # the missing label makes the column float
    for role in ("normal", "unlabelled"):
        assert open_images(path.with_suffix(".parquet"), role=role).names == open_images(path, role=role).names


def test_parquet_without_pyarrow(manifest, monkeypatch):
    path = manifest("x", name="m.parquet")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else real(name, *a))
    with pytest.raises(InputError, match=r"pip install 'feint\[parquet\]'"):
        open_images(path, role="normal")


def test_damaged_tables(manifest):
    with pytest.raises(InputError, match="cannot be read as a Parquet file"):
        open_images(manifest("PAR1 this is none", name="m.parquet"), role="normal")
    path = manifest("")
    path.write_bytes(b"image_path\n\xff\xfe.png\n")
    with pytest.raises(InputError, match="cannot be read as a CSV file in UTF-8"):
        open_images(path, role="normal")
    with pytest.raises(InputError, match="no rows below its header"):
        open_images(manifest("image_path,split\n"), role="normal")
    with pytest.raises(InputError, match="no column image_path or path: its columns are file, split"):
        open_images(manifest("file,split\na.png,train\n"), role="normal")


def test_without_splits_every_row_counts(manifest):
    path = manifest("path\ntrain/a.png\ntest/e.png\n")
    for role in ("normal", "unlabelled"):
        assert len(open_images(path, role=role)) == 2


def test_no_row_of_the_role(manifest):
    with pytest.raises(InputError, match="has no normal images: its splits are eval; normal images have split train"):
        open_images(manifest("image_path,split\nval/f.png,eval\n"), role="normal")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "/etc/secret.png",
        "train/../../secret.png",
        "..\\secret.png",
        "C:\\secret.png",
        "C:secret.png",
        "link/x.png",
        "",
    ],
)
def test_paths_that_leave_the_folder_are_refused_unopened(manifest, folder, tmp_path, monkeypatch, path):
    outside = folder("secret.png", "x.png", root=tmp_path)
    file = manifest(f"image_path,split\n{path},train\n")
    (file.parent / "link").symlink_to(outside)
    opened = []
    real = builtins.open
    monkeypatch.setattr(builtins, "open", lambda name, *a, **k: opened.append(str(name)) or real(name, *a, **k))
    with pytest.raises(InputError, match="must be relative to the manifest and stay in its folder"):
        open_images(file, role="normal")
    assert not any("secret" in name for name in opened)


def test_paths_are_tidied(manifest):
    path = manifest("image_path,split\ntrain\\a.png ,train\n ./test/../train/c d.png,train\n")
    assert open_images(path, role="normal").names == ("train/a.png", "train/c d.png")


def test_a_row_whose_file_is_missing_is_skipped_with_the_reason(manifest):
    found = survey(open_images(manifest("image_path,split\ntrain/a.png,train\ngone.png,train\n"), role="normal"))
    assert [(each.path, each.reason) for each in found.skipped] == [
        ("gone.png", "cannot be opened: No such file or directory")
    ]
