"""Manifests, tables, archives and arrays that lead elsewhere, lie about their size or are damaged: refused in words."""

import io
import json
import tarfile
import zipfile
import zlib

import hostile_images
import numpy as np
import pytest
from hostile_images import plain

from feint.core.errors import InputError, IntegrityError
from feint.data import open_images
from feint.data.fetching import _unpack
from feint.data.labelled import labelled_images
from feint.data.sewer_ml import read_sewer_ml

OUTSIDE = [
    "../outside.png", "a/../../outside.png", "/etc/passwd", "//etc/passwd", "\\etc\\passwd", "..\\outside.png",
    "C:\\outside.png", "c:outside.png", "C:/outside.png", "\\\\server\\share\\x.png", "//server/share/x.png",
    "\\\\?\\C:\\x.png", "file:///etc/passwd", "", ".", "..", "./..", "a/..", "outside-link.png", "folder-link/x.png",
    "loop.png", "loop.png/x.png", "x\0.png", "\0", "x" * 300 + ".png", "a/" * 3000 + "x.png", "~/x.png", "$HOME/x.png",
    "/dev/stdin", "CON", "x.png:stream", "%2e%2e/outside.png", "..%2foutside.png", "\ud800.png",
]  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """Return a folder with an image, and links that lead out of it and in circles."""
    root = tmp_path / "root"
    root.mkdir()
    whole = hostile_images.whole_images()["L.png"]
    for path in (root / "x.png", tmp_path / "outside.png", tmp_path / "elsewhere/x.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole)
    (root / "outside-link.png").symlink_to(tmp_path / "outside.png")
    (root / "folder-link").symlink_to(tmp_path / "elsewhere")
    (root / "loop.png").symlink_to("loop.png")
    return root


def reasons_for(images) -> list[str]:
    """Return why each image cannot be read, and check that none can."""
    found = []
    for i in range(len(images)):
        with pytest.raises(InputError) as caught:
            images.read(i)
        found.append(str(caught.value))
    return found


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("path", OUTSIDE)
def test_no_row_of_a_manifest_leads_out_of_its_folder(root, path, kind):
    table = root / f"m.{kind}"
    if kind == "csv":
        table.write_bytes(b'image_path,split\n"' + path.encode("utf-8", "surrogatepass") + b'",test\n')
    elif kind == "jsonl":
        table.write_text(json.dumps({"image_path": path, "split": "test"}))
    else:
        pa = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        if path == "\ud800.png":
            pytest.skip("Parquet holds no half of a pair")
        write_table(pa.table({"image_path": [path], "split": ["test"]}), table)
    try:
        images = open_images(table, role="unlabelled")
    except InputError as error:
        assert len(str(error)) < 40_000
    else:
        assert all(plain(reason) for reason in reasons_for(images))


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_row_of_a_table_of_labels_leads_out_of_its_folder(root, path):
    (root / "labels.jsonl").write_text(json.dumps({"path": path, "label": 1}))
    try:
        found = labelled_images(root / "labels.jsonl")
    except InputError:
        return
    assert all(plain(reason) for reason in reasons_for(found.images))


TABLES = {
    "nothing.csv": b"",
    "zeros.csv": bytes(1000),
    "no-text.csv": b"image_path\n\xff\xfe\n",
    "wide.csv": b"image_path\n\xff\xfei\0m\0",
    "one-huge-cell.csv": b'image_path\n"' + b"x" * 300_000 + b'"\n',
    "endless-quote.csv": b'image_path\n"x.png\nx.png\nx.png',
    "short-rows.csv": b"split,image_path\ntest\n\n,\n",
    "long-rows.csv": b"image_path\nx.png,y,z,a,b\n",
    "same-columns.csv": b"image_path,image_path\nx.png,y.png\n",
    "nothing.json": b"",
    "number.json": b"5",
    "deep.json": b"[" * 200_000,
    "rows-of-lists.json": b"[[1, 2]]",
    "huge-number.json": b"[" + b"9" * 10_000 + b"]",
    "nan.jsonl": b'{"image_path": NaN}',
    "not-text.jsonl": b'{"image_path": {"a": [1]}}',
    "nothing.parquet": b"",
    "only-a-mark.parquet": b"PAR1PAR1",
    "cut.parquet": b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_manifest_is_refused_in_one_sentence(root, name):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (root / name).write_bytes(TABLES[name])
    try:
        images = open_images(root / name, role="unlabelled")
    except InputError as error:
        assert name in str(error)
        assert "\n" not in str(error)
    else:
        assert name == "long-rows.csv" or all(map(plain, reasons_for(images)))


def test_mutated_parquet_is_read_or_refused(root):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(pa.table({"image_path": ["x.png"] * 50, "split": ["test"] * 50}), file)
    chance = np.random.default_rng(0)
    for _ in range(300):
        data = np.frombuffer(file.getvalue(), np.uint8).copy()
        data[chance.integers(0, len(data), 3)] = chance.integers(0, 256, 3)
        (root / "m.parquet").write_bytes(data.tobytes()[: chance.integers(len(data) // 2, len(data) + 1)])
        try:
            open_images(root / "m.parquet", role="unlabelled")
        except InputError as error:
            assert "m.parquet" in str(error)


HEADS = {
    "huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 1000), }",
    "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8), }",
    "endless": "{'descr': '|u1', 'fortran_order': False, 'shape': (9" + "9" * 30 + ", 8, 8), }",
    "pickle": "{'descr': '|O', 'fortran_order': False, 'shape': (1, 8, 8), }",
    "text": "{'descr': '<U9', 'fortran_order': False, 'shape': (1, 8, 8), }",
    "code": "__import__('os').system('true')",
    "deep": "(" * 5000,
    "none": "",
}


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("head", HEADS)
def test_an_array_file_that_lies_is_refused_in_one_sentence(tmp_path, head, suffix):
    text = HEADS[head].encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.npy", data)
    with pytest.raises(InputError) as caught:
        open_images(path, role="normal")
    assert "\n" not in str(caught.value)


def test_mutated_array_files_are_read_or_refused(tmp_path):
    whole = {}
    for suffix, save in (("npy", np.save), ("npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, np.random.default_rng(0).integers(0, 256, (4, 12, 12), np.uint8))
        whole[suffix] = file.getvalue()
    chance = np.random.default_rng(1)
    for number in range(400):
        suffix = ("npy", "npz")[number % 2]
        data = np.frombuffer(whole[suffix], np.uint8).copy()
        at = chance.integers(0, min(len(data), 200 if number % 3 else len(data)), 2)
        data[at] = chance.integers(0, 256, 2)
        (tmp_path / f"a.{suffix}").write_bytes(data.tobytes()[: chance.integers(0, len(data) + 1) or None])
        try:
            open_images(tmp_path / f"a.{suffix}", role="normal")
        except InputError as error:
            assert "\n" not in str(error)


MEMBERS = {
    "up": ("../x.png", b"x", {}),
    "root": ("/x.png", b"x", {}),
    "drive": ("C:/x.png", b"x", {}),
    "backslash": ("a\\..\\..\\x.png", b"x", {}),
    "share": ("\\\\server\\x.png", b"x", {}),
    "deep up": ("a/b/../../../x.png", b"x", {}),
    "link": ("a/x.png", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
    "hard link": ("a/x.png", b"", {"type": tarfile.LNKTYPE, "linkname": "../../outside.png"}),
    "pipe": ("a/x.png", b"", {"type": tarfile.FIFOTYPE}),
    "device": ("a/x.png", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}),
    "more than declared": ("a/x.png", bytes(20_000), {}),
    "holes": ("a/x.png", b"", {"type": tarfile.GNUTYPE_SPARSE}),
    "terabytes": ("a/x.png", b"", {"size": 2**42}),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_an_archive_that_leads_out_or_is_a_bomb_is_refused(tmp_path, case):
    name, content, more = MEMBERS[case]
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in more.items():
        setattr(info, field, value)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        good = tarfile.TarInfo("a/good.txt")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
        archive.fileobj.write(info.tobuf() + content.ljust(-(-len(content) // 512) * 512, b"\0"))
    target = tmp_path / "in/here"
    target.mkdir(parents=True)
    with pytest.raises(IntegrityError, match=r"a\.tar\.gz"):
        _unpack(tmp_path / "a.tar.gz", target, most=10_000)
    found = {each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*")}
    assert found <= {"a.tar.gz", "in", "in/here", "in/here/good.txt"}


def test_names_in_an_archive_that_get_in_each_others_way_are_told(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in ("a/x", "a/x/y", "a/X"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"1"))
    (tmp_path / "here").mkdir()
    with pytest.raises((IntegrityError, OSError)):
        _unpack(tmp_path / "a.tar.gz", tmp_path / "here", most=100)


def sewer(tmp_path, name: str, data: bytes, *, declared: int | None = None):
    """Write a copy of Sewer-ML's hidden test part with one zipped image; `declared` is the size it lies about."""
    (tmp_path / "SewerML_Test.csv").write_text("Filename\nx.png\n")
    with zipfile.ZipFile(tmp_path / "test00.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    if declared is not None:
        raw = (tmp_path / "test00.zip").read_bytes()
        (tmp_path / "test00.zip").write_bytes(
            raw.replace(len(data).to_bytes(4, "little"), declared.to_bytes(4, "little"))
        )
    return tmp_path


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "C:x.png", "a\\..\\..\\x.png", "\\\\server\\share\\x.png"])
def test_a_zip_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="outside its own folder"):
        read_sewer_ml(sewer(tmp_path, name, b"1"), part="test")


@pytest.mark.parametrize("declared", [1000, 2**31])
def test_a_zipped_bomb_is_refused_before_it_is_unpacked(tmp_path, declared):
    root = sewer(tmp_path, "x.png", zlib.compress(bytes(100)) + bytes(50_000_000), declared=declared)
    try:
        found = read_sewer_ml(root, part="test")
    except InputError as error:
        assert "x.png" in str(error)
    else:
        (reason,) = reasons_for(found.images)
        assert "its checksum does not fit" in reason


def test_links_that_leave_the_root_and_pipes_are_no_images(tmp_path):
    hostile_images.odd_places(tmp_path / "root/test00")
    names = sorted(each.name for each in (tmp_path / "root/test00").iterdir())
    (tmp_path / "root/test00/whole.png").write_bytes(hostile_images.whole_images()["L.png"])
    (tmp_path / "root/SewerML_Test.csv").write_text("Filename\nwhole.png\n" + "\n".join(names))
    found = read_sewer_ml(tmp_path / "root", part="test")
    inside = {"whole.png", "outside.png", "relative.png"}  # where the last two lead is a file in the root
    assert set(found.images.names) == inside
    assert set(found.missing) == {*names} - inside
