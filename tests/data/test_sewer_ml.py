import csv
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from feint.core.errors import InputError
from feint.data import UnreadableImageError, decode, plan_preprocessing, survey
from feint.data.sewer_ml import read_sewer_ml
from feint.metrics.sewer import CODES

COLUMNS = ("Filename", "WaterLevel", *CODES, "Defect")


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return pixels, file.getvalue()


class Copy:
    """A small copy of the layout of Sewer-ML: image i of a part shows code i, image 0 none."""

    def __init__(self, root):
        self.root = root

    def table(self, part, rows, columns=COLUMNS):
        with (self.root / f"SewerML_{part}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", restval=0)
            writer.writeheader()
            writer.writerows(rows)

    def rows(self, indices):
        return [
            {"Filename": f"{i:08d}.png", "WaterLevel": 5, "Defect": int(i > 0)} | ({CODES[i - 1]: 1} if i else {})
            for i in indices
        ]

    def zip(self, name, indices, *, inside="", method=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(self.root / name, "w", method) as archive:
            for i in indices:
                archive.writestr(f"{inside}{i:08d}.png", png(i)[1])

    def folder(self, name, indices):
        (self.root / name).mkdir(exist_ok=True)
        for i in indices:
            (self.root / name / f"{i:08d}.png").write_bytes(png(i)[1])


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


@pytest.fixture
def whole(copy):
    """Return a copy with all three parts, in zips."""
    copy.table("Train", copy.rows(range(18)))
    copy.zip("train00.zip", range(10), inside="train00/")
    copy.zip("train01.zip", range(10, 18), method=zipfile.ZIP_STORED)
    copy.table("Val", copy.rows([3, 0]))
    copy.zip("valid00.zip", [0, 3])
    copy.table("Test", [{"Filename": f"{i:08d}.png"} for i in (5, 6)], columns=("Filename",))
    copy.zip("test00.zip", [5, 6])
    return copy


def test_the_codes_are_in_order_and_the_images_are_read_from_the_zips(whole):
    part = read_sewer_ml(whole.root, part="train")
    assert part.names == tuple(f"{i:08d}.png" for i in range(18))
    assert part.codes.tolist() == np.eye(18, 17, -1).tolist()
    assert part.defect.tolist() == [0] + [1] * 17
    assert (part.missing, part.notes) == ((), ())
    for i in (0, 9, 10, 17):
        assert (part.images.read(i) == png(i)[0]).all()
    assert (part.images.header(4).height, part.images.header(4).width) == (12, 16)


def test_the_order_is_that_of_the_table(whole):
    part = read_sewer_ml(whole.root, part="val")
    assert part.names == ("00000003.png", "00000000.png")
    assert part.defect.tolist() == [1, 0]
    assert (part.images.read(0) == png(3)[0]).all()


def test_the_test_part_has_no_labels(whole):
    part = read_sewer_ml(whole.root, part="test")
    assert part.names == ("00000005.png", "00000006.png")
    assert part.defect is None
    assert part.codes is None
    assert (part.images.read(1) == png(6)[0]).all()


def test_zipped_images_are_surveyed_decoded_and_travel_to_other_processes(whole):
    images = read_sewer_ml(whole.root, part="train").images
    plan = plan_preprocessing(survey(images), image_size=8)
    decoded = decode(images.select([2, 11]), [plan], workers=2)
    assert decoded.names == ("00000002.png", "00000011.png")
    assert decoded.pixels[0].shape == (2, 3, plan.height, plan.width)
    assert (pickle.loads(pickle.dumps(images)).read(2) == png(2)[0]).all()


@pytest.mark.parametrize("folder", ["train00", "train", "Train", "."])
def test_folders_and_loose_images(copy, folder):
    copy.table("Train", copy.rows([0, 1]))
    copy.folder(folder, [1, 0])
    part = read_sewer_ml(copy.root, part="train")
    assert part.defect.tolist() == [0, 1]
    assert (part.images.read(1) == png(1)[0]).all()


def test_a_folder_counts_before_the_zip_it_came_from(copy):
    copy.table("Train", copy.rows([0, 1]))
    copy.zip("train00.zip", [0, 1])
    copy.folder("train00", [1])
    part = read_sewer_ml(copy.root, part="train")
    assert part.images.items[1] == copy.root / "train00" / "00000001.png"
    assert (part.images.read(0) == png(0)[0]).all()


def test_what_is_missing_or_unnamed_is_counted(copy):
    copy.table("Train", copy.rows(range(6)))
    copy.zip("train00.zip", [4, 1, 9])
    part = read_sewer_ml(copy.root, part="train")
    assert part.names == ("00000001.png", "00000004.png")
    assert part.codes.argmax(axis=1).tolist() == [0, 3]
    assert part.missing == ("00000000.png", "00000002.png", "00000003.png", "00000005.png")
    assert part.notes == (
        "4 images that SewerML_Train.csv names were not found, e.g. 00000000.png.",
        "1 images are not named in SewerML_Train.csv, and were left out.",
    )


def test_no_image_at_all(copy):
    copy.table("Train", copy.rows(range(6)))
    copy.zip("valid00.zip", range(6))
    with pytest.raises(InputError, match="none of the 6 images that .* names is in .*: put train zips"):
        read_sewer_ml(copy.root, part="train")


def test_the_columns_of_the_official_code_are_tolerated_and_their_order_is_free(copy):
    rows = [row | {"VA": 1, "ND": 0} for row in copy.rows([0, 2])]
    copy.table("Train", rows, columns=("ND", "Defect", *CODES[::-1], "VA", "Filename"))
    copy.folder("train00", [0, 2])
    assert read_sewer_ml(copy.root, part="train").codes[1].tolist() == [0, 1] + [0] * 15


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (COLUMNS[:-1], "it lacks Defect"),
        (("Filename",), "it lacks RB, OB, PF, .*, Defect"),
        ((*(each for each in COLUMNS if each != "RO"), "ROO"), "it lacks RO; unknown are ROO"),
        ((*COLUMNS, "OK"), "given twice are OK"),
    ],
)
def test_other_columns(copy, columns, message):
    copy.table("Train", copy.rows([0]), columns=columns)
    copy.folder("train00", [0])
    with pytest.raises(InputError, match=f"has not the columns of Sewer-ML: {message}"):
        read_sewer_ml(copy.root, part="train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Defect": 2}, "line 3: Defect must be 0 or 1: got '2'"),
        ({"PF": ""}, "line 3: PF must be 0 or 1: got ''"),
        ({"Filename": "../x.png"}, r"line 3: a Filename must be a file's name without folders: got '\.\./x.png'"),
        ({"Filename": ""}, "line 3: a Filename"),
    ],
)
def test_other_values(copy, change, message):
    rows = copy.rows([0, 1])
    copy.table("Train", [rows[0], rows[1] | change])
    copy.folder("train00", [0, 1])
    with pytest.raises(InputError, match=message):
        read_sewer_ml(copy.root, part="train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it lacks Filename"),
        (",".join(COLUMNS) + "\n", "no rows"),
        (",".join(COLUMNS) + "\n1.png,0\n", "line 2: 2 cells under 20 columns"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_tables_that_are_none(copy, text, message):
    (copy.root / "SewerML_Train.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        read_sewer_ml(copy.root, part="train")


def test_an_image_named_twice(copy):
    copy.table("Train", copy.rows([0, 1, 0]))
    copy.folder("train00", [0, 1])
    with pytest.raises(InputError, match=r"00000000\.png twice"):
        read_sewer_ml(copy.root, part="train")


def test_a_missing_table_suggests_a_name(copy):
    copy.table("Tran", copy.rows([0]))
    with pytest.raises(InputError, match=r"did you mean .*SewerML_Tran\.csv"):
        read_sewer_ml(copy.root, part="train")


def test_defects_without_a_code_are_told(copy):
    copy.table("Train", [row | {"Defect": 1} for row in copy.rows([0, 1])])
    copy.folder("train00", [0, 1])
    part = read_sewer_ml(copy.root, part="train")
    assert part.defect.tolist() == [1, 1]
    assert part.notes[0].startswith("1 images have a Defect without a code")


@pytest.mark.parametrize("name", ["../evil.png", "train00/../../evil.png", "/evil.png", "C:\\evil.png", "..\\evil.txt"])
def test_zips_that_name_what_is_outside(copy, name):
    copy.table("Train", copy.rows([0]))
    with zipfile.ZipFile(copy.root / "train00.zip", "w") as archive:
        archive.writestr("00000000.png", png(0)[1])
        archive.writestr(name, png(1)[1])
    with pytest.raises(InputError, match="outside its own folder"):
        read_sewer_ml(copy.root, part="train")


def test_a_zip_that_was_cut_short(copy):
    copy.table("Train", copy.rows([0]))
    copy.zip("train00.zip", [0])
    archive = copy.root / "train00.zip"
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"train00\.zip cannot be read as a zip.*Download it again"):
        read_sewer_ml(copy.root, part="train")


def test_an_encrypted_zip(copy):
    copy.table("Train", copy.rows([0]))
    copy.zip("train00.zip", [0])
    archive = copy.root / "train00.zip"
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match="is encrypted: unpack it with its password"):
        read_sewer_ml(copy.root, part="train")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_damaged_image_is_skipped_with_its_reason(copy, method):
    copy.table("Train", copy.rows([0, 1]))
    copy.zip("train00.zip", [0, 1], method=method)
    archive = copy.root / "train00.zip"
    data = bytearray(archive.read_bytes())
    data[200:210] = bytes(10)
    archive.write_bytes(bytes(data))
    images = read_sewer_ml(copy.root, part="train").images
    with pytest.raises(UnreadableImageError, match=r"damaged in train00\.zip"):
        images.read(0)
    decoded = decode(images, [], workers=1)
    assert decoded.names == ("00000001.png",)
    assert "damaged in train00.zip" in decoded.skipped[0].reason


def test_a_zip_that_is_gone_when_it_is_read(whole):
    images = read_sewer_ml(whole.root, part="train").images
    (whole.root / "train00.zip").unlink()
    with pytest.raises(UnreadableImageError, match="cannot be opened: No such file"):
        images.read(0)
