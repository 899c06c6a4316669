import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feint.core.errors import InputError
from feint.data import open_images, survey
from feint.data.listing import list_parts


def test_any_depth_any_case_in_order_of_names(folder):
    names = ["b/deep/er/x.PNG", "a.JPEG", "B.tif", "a b/ä ö.Bmp", "é.webp", "b.TIFF", "z.jpg"]
    root = folder(*names)
    images = open_images(root, role="normal")
    assert images.names == tuple(sorted(names))
    assert (images.source, images.layout) == (str(root), "folder")
    assert len(images) == len(names)
    i = images.names.index("a b/ä ö.Bmp")
    assert np.array_equal(images.read(i), np.asarray(Image.open(root / "a b/ä ö.Bmp")))


def test_what_is_no_image_of_the_user_is_left_aside(folder):
    root = folder(
        "a.png", ".hidden.png", ".cache/a.png", "__MACOSX/a.png", "ground_truth/a.png", "b/Ground_Truth/a.png"
    )
    (root / "notes.txt").write_text("x")
    (root / "folder.png").mkdir()
    assert open_images(root, role="unlabelled").names == ("a.png",)


def test_what_a_disk_keeps_for_itself_need_not_be_readable(folder, monkeypatch):
    root = folder("a.png", "lost+found/a.png", "System Volume Information/a.png")
    scandir = os.scandir

    def broken(place):
        if Path(place) != root:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", broken)
    assert open_images(root, role="normal").names == ("a.png",)


def test_links_that_leave_the_folder_are_not_followed(folder, tmp_path):
    outside = folder("x.png", root=tmp_path / "outside")
    root = folder("a.png")
    (root / "link.png").symlink_to(outside / "x.png")
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "all").symlink_to(outside)
    (root / "broken.png").symlink_to(root / "nowhere.png")
    assert open_images(root, role="normal").names == ("a.png", "inside.png")
    (tmp_path / "alias").symlink_to(root)
    assert open_images(tmp_path / "alias", role="normal").names == ("a.png", "inside.png")


@pytest.mark.parametrize("read", [lambda root: open_images(root, role="normal"), lambda root: list(parts_of(root))])
@pytest.mark.parametrize("looking", ["scandir", "stat"])
def test_what_cannot_be_looked_at_is_not_left_out_without_a_word(folder, monkeypatch, read, looking):
    root = folder("a.png", "day1/a.png", "day2/a.png")
    look = getattr(os, looking)

    def broken(place=".", **options):
        if str(place).startswith(str(root / "day2")) and (looking == "scandir" or str(place).endswith("png")):
            raise OSError(errno.EIO, "Input/output error", str(place))
        return look(place, **options)

    monkeypatch.setattr(os, looking, broken)
    with pytest.raises(InputError, match=r"/day2.* cannot be read: Input/output error\. Make it readable, or move it"):
        read(root)


def parts_of(root):
    return list_parts(str(root), column=None, size=2)


def test_a_pipe_is_not_waited_for(folder):
    root = folder("a.png")
    os.mkfifo(root / "pipe.png")
    assert open_images(root, role="normal").names == ("a.png",)


def test_a_name_that_is_no_text_can_still_be_written(folder):
    root = folder("a.png")
    (root / "a.png").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9.png"))
    images = open_images(root, role="normal")
    assert images.names == ("caf\\xe9.png",)
    assert images.read(0).shape == (12, 16)


MVTEC = ["train/good/1.png", "test/good/1.png", "test/crack/1.png", "ground_truth/crack/1_mask.png"]


def test_mvtec_category(folder):
    root = folder(*MVTEC)
    normal, unlabelled = (open_images(root, role=role) for role in ("normal", "unlabelled"))
    assert normal.names == ("train/good/1.png",)
    assert unlabelled.names == ("test/crack/1.png", "test/good/1.png")
    assert normal.layout == unlabelled.layout == "mvtec"


def test_several_categories_are_refused(folder, tmp_path):
    for category in ("bottle", "cable"):
        folder("train/good/1.png", root=tmp_path / "all" / category)
    with pytest.raises(InputError, match=r"2 MVTec categories \(bottle, cable\): give one"):
        open_images(tmp_path / "all", role="normal")


def test_a_category_without_test(folder):
    root = folder("train/good/1.png")
    with pytest.raises(InputError, match="no test: give the folder of unlabelled images"):
        open_images(root, role="unlabelled")


def test_good_beside_defects_is_not_taken_for_normal(folder):
    root = folder("good/1.png", "scratch/1.png")
    with pytest.raises(InputError, match=r"'good' beside other folders \(scratch\)"):
        open_images(root, role="normal")
    assert len(open_images(root, role="unlabelled")) == 2


def test_a_list_of_files_keeps_its_order(folder):
    root = folder("a/1.png", "b/2.png")
    images = open_images([root / "b/2.png", str(root / "a/1.png")], role="normal")
    assert images.names == ("b/2.png", "a/1.png")
    with pytest.raises(InputError, match=r"names the image 1\.png twice"):
        open_images([root / "a/1.png"] * 2, role="normal")
    with pytest.raises(InputError, match="list of images is empty"):
        open_images([], role="normal")


def test_an_image_set_and_a_selection(folder):
    images = open_images(folder("a.png", "b.png", "c.png"), role="normal")
    assert open_images(images, role="unlabelled") is images
    chosen = images.select([2, 0])
    assert chosen.names == ("c.png", "a.png")
    assert np.array_equal(chosen.read(0), images.read(2))


def test_a_missing_folder_suggests_a_sibling(folder, tmp_path):
    folder("a.png", root=tmp_path / "normals")
    with pytest.raises(InputError, match=re.escape(f"did you mean {tmp_path / 'normals'}?")):
        open_images(tmp_path / "normal", role="normal")
    with pytest.raises(InputError, match=r"does not exist: check the path\.$"):
        open_images(tmp_path / "xyz", role="normal")
    with pytest.raises(InputError, match="nor does the folder"):
        open_images(tmp_path / "a/b/c", role="normal")


def test_a_folder_without_images_says_what_it_found(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="found no files at all"):
        open_images(empty, role="normal")
    for name in ("1.heic", "2.HEIC", "3.txt"):
        (empty / name).write_text("x")
    with pytest.raises(InputError, match=r"found 2 \.heic, 1 \.txt.*convert the images to png"):
        open_images(empty, role="normal")
    links = tmp_path / "links"
    links.mkdir()
    (links / "a.png").symlink_to(folder("a.png") / "a.png")
    with pytest.raises(InputError, match=r"found 1 link to .* elsewhere\. Such links are not followed: give the"):
        open_images(links, role="normal")


def test_a_file_that_is_no_collection(folder):
    root = folder("a.png")
    with pytest.raises(InputError, match="is a single image"):
        open_images(root / "a.png", role="normal")
    (root / "model.pt").write_text("x")
    with pytest.raises(InputError, match=r"is a \.pt file: give a folder"):
        open_images(root / "model.pt", role="normal")


@pytest.mark.parametrize("name", ["parts.zip", "parts.tar.gz", "PARTS.7Z"])
def test_an_archive_is_to_be_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    for attempt in (
        lambda path: open_images(path, role="normal"),
        lambda path: next(list_parts(str(path), column=None, size=4)),
    ):
        with pytest.raises(InputError, match="is an archive, which is not opened: unpack it, and give the folder"):
            attempt(tmp_path / name)


def test_a_folder_of_damaged_images(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"" if i else b"text")
    with pytest.raises(InputError, match=r"none of the 4 images .*0\.png: not a PNG.*1\.png: empty file.*\.\.\."):
        survey(open_images(tmp_path, role="normal"))
