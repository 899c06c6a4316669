"""What a bulk job reads: folders, manifests, Parquet files that hold images, URLs."""

import json
import os
import shutil

import fsspec
import pandas as pd
import pytest
from small_bulk import MeanJudge, job, plain, table, write_images

from feint.core.errors import InputError, SettingError
from feint.data.listing import list_parts
from feint.data.remote import below, parent
from feint.runs.bulk import run_bulk
from feint.runs.bulk_store import BulkStore


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 33)


@pytest.fixture
def expected(model, images, tmp_path):
    """Return the table of the folder."""
    job(model, images, tmp_path / "folder.parquet")
    return table(tmp_path / "folder.parquet")


def contents(images) -> pd.DataFrame:
    files = sorted(images.rglob("*.png"))
    return pd.DataFrame({"bytes": [each.read_bytes() for each in files], "label": range(len(files))})


def same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    found, expected = (each.drop(columns="path").astype({"flagged": float}) for each in (found, expected))
    return found.equals(expected)


class TestFolders:
    def test_what_is_passed_over(self, model, images, out, tmp_path):
        (images / "notes.txt").write_text("")
        for hidden in (".hidden.png", ".git/a.png", "ground_truth/a.png"):
            (images / hidden).parent.mkdir(exist_ok=True)
            plain(1).save(images / hidden)
        plain(1).save(tmp_path / "outside.png")
        (images / "link.png").symlink_to(tmp_path / "outside.png")
        assert job(model, images, out).images == 33

    def test_a_category_means_its_test_images(self, model, tmp_path, out):
        for name in ("train/good/a.png", "test/good/b.png", "test/crack/c.png", "ground_truth/crack/c.png"):
            (tmp_path / "part" / name).parent.mkdir(parents=True, exist_ok=True)
            plain(1).save(tmp_path / "part" / name)
        job(model, tmp_path / "part", out)
        assert table(out).path.tolist() == ["test/crack/c.png", "test/good/b.png"]

    def test_nothing_there(self, model, tmp_path, out):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty/a.txt").write_text("")
        with pytest.raises(InputError, match=r"no images in .*empty.*found 1 \.txt"):
            job(model, tmp_path / "empty", out)
        assert not out.exists()

    def test_a_single_image(self, model, images, out):
        with pytest.raises(InputError, match=r"is a \.png file: give a folder"):
            job(model, images / "00/0001.png", out)


class TestManifests:
    @pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
    def test_every_format(self, model, images, out, expected, suffix):
        rows = pd.DataFrame({"image_path": expected.path, "split": "test"})
        rows.loc[3, "split"] = "train"
        path = images / f"manifest.{suffix}"
        if suffix == "csv":
            rows.to_csv(path, index=False)
        elif suffix == "parquet":
            rows.to_parquet(path, index=False)
        else:
            rows.to_json(path, orient="records", lines=suffix == "jsonl")
        job(model, path, out)
        assert table(out).equals(expected.drop(index=3).reset_index(drop=True))

    @pytest.mark.parametrize(
        "name", ["../outside.png", "00/../../outside.png", "/etc/passwd", "C:/a.png", "link/a.png"]
    )
    @pytest.mark.parametrize("suffix", ["csv", "jsonl"])
    def test_paths_stay_inside(self, model, images, tmp_path, out, name, suffix):
        (images / "link").symlink_to(tmp_path)
        path = images / f"manifest.{suffix}"
        path.write_text(f"image_path\n{name}\n" if suffix == "csv" else json.dumps({"image_path": name}))
        with pytest.raises(InputError, match="must be relative to the manifest and stay in its folder"):
            job(model, path, out)
        assert not out.exists()

    def test_an_image_named_twice(self, model, images, out):
        (images / "m.csv").write_text("image_path\n00/0001.png\n00/0002.png\n00/./0001.png\n")
        with pytest.raises(InputError, match=r"names the image 00/0001\.png twice"):
            job(model, images / "m.csv", out)

    def test_a_missing_image_is_recorded(self, model, images, out):
        (images / "m.csv").write_text("image_path\n00/0001.png\n00/absent.png\n")
        assert job(model, images / "m.csv", out).unreadable == 1
        assert table(out).reason[1] == "cannot be opened: No such file or directory"

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[1, 2]", "must hold objects"),
            ("{}", "must hold a list"),
            ("[{", "cannot be read as JSON"),
            ("[]", "no rows"),
        ],
    )
    def test_json_that_is_no_manifest(self, model, images, out, text, told):
        (images / "m.json").write_text(text)
        with pytest.raises(InputError, match=told):
            job(model, images / "m.json", out)


class TestParquet:
    @pytest.mark.parametrize("group", [4, 7, 33])
    def test_bytes_in_a_column(self, model, images, out, expected, tmp_path, group):
        contents(images).to_parquet(tmp_path / "p.parquet", row_group_size=group)
        job(model, tmp_path / "p.parquet", out)
        found = table(out)
        assert same(found, expected)
        assert found.path.tolist() == [f"p.parquet#{row}" for row in range(33)]

    def test_structs_as_hugging_face_has_them_in_a_folder(self, model, images, out, expected, tmp_path):
        rows = contents(images)
        rows["image"] = [{"bytes": each, "path": "a.png"} for each in rows.pop("bytes")]
        for k, part in enumerate([rows[:20], rows[20:]]):
            (tmp_path / f"set/{k}").mkdir(parents=True)
            part.to_parquet(tmp_path / f"set/{k}/p.parquet")
        job(model, tmp_path / "set", out)
        found = table(out)
        assert same(found, expected)
        assert found.path[[0, 19, 20]].tolist() == ["0/p.parquet#0", "0/p.parquet#19", "1/p.parquet#0"]

    def test_a_column_of_another_name(self, model, images, out, expected, tmp_path):
        contents(images).rename(columns={"bytes": "photo"}).to_parquet(tmp_path / "p.parquet")
        with pytest.raises(InputError, match=r"no column of images.*its columns are photo, label\. Name one with"):
            job(model, tmp_path / "p.parquet", out)
        with pytest.raises(InputError, match="no column jpeg: its columns are photo, label"):
            run_bulk(MeanJudge, model, str(tmp_path / "p.parquet"), out=out, backend="serial", column="jpeg")
        with pytest.raises(InputError, match="the column label of p.parquet holds int64, not the bytes"):
            run_bulk(MeanJudge, model, str(tmp_path / "p.parquet"), out=out, backend="serial", column="label")
        run_bulk(MeanJudge, model, str(tmp_path / "p.parquet"), out=out, backend="serial", column="photo")
        assert same(table(out), expected)

    def test_cells_without_an_image(self, model, images, out, tmp_path):
        rows = contents(images)
        rows.loc[2, "bytes"] = None
        rows.loc[5, "bytes"] = b"no image"
        rows.to_parquet(tmp_path / "p.parquet")
        assert job(model, tmp_path / "p.parquet", out).unreadable == 2
        reasons = table(out).reason
        assert (reasons[2], reasons[5]) == ("empty file (0 bytes)", "not a PNG, JPEG, BMP, TIFF or WebP image")

    def test_a_damaged_row_group_costs_its_own_images(self, model, images, out, expected, tmp_path):
        path = tmp_path / "p.parquet"
        contents(images).to_parquet(path, row_group_size=11, compression="snappy")
        import pyarrow.parquet as pq

        column = pq.ParquetFile(path).metadata.row_group(1).column(0)
        whole = bytearray(path.read_bytes())
        start = column.dictionary_page_offset or column.data_page_offset
        whole[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
        path.write_bytes(whole)
        assert job(model, path, out).unreadable == 11
        found = table(out)
        assert found.reason[11:22].str.startswith("its Parquet file cannot be read here").all()
        assert same(found.drop(index=range(11, 22)), expected.drop(index=range(11, 22)))

    def test_no_parquet(self, model, tmp_path, out):
        (tmp_path / "p.parquet").write_text("this is none")
        with pytest.raises(InputError, match="cannot be read as a Parquet file"):
            job(model, tmp_path / "p.parquet", out)

    def test_a_file_that_is_replaced_in_mid_job(self, model, images, out, tmp_path, monkeypatch):
        path = tmp_path / "p.parquet"
        contents(images).to_parquet(path, row_group_size=11)
        listed = BulkStore.list

        def replacing(self, parts):
            counts = listed(self, parts)
            contents(images)[:5].to_parquet(path)
            return counts

        with (
            monkeypatch.context() as patch,
            pytest.raises(InputError, match=r"^p\.parquet was changed while the job ran"),
        ):
            patch.setattr(BulkStore, "list", replacing)
            job(model, path, out)
        assert job(model, path, out).images == 5

    @pytest.mark.parametrize("scheme", ["", "file://"])
    def test_what_is_passed_over_in_a_folder(self, model, images, out, tmp_path, scheme):
        root = tmp_path / "set"
        for name in (
            "a/b.parquet",
            "c.PARQUET",
            ".trash/a.parquet",
            ".a.parquet",
            "_a.parquet",
            "ground_truth/a.parquet",
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            contents(images)[:2].to_parquet(root / name)
        contents(images).to_parquet(tmp_path / "outside.parquet")
        (root / "link.parquet").symlink_to(tmp_path / "outside.parquet")
        job(model, f"{scheme}{root}", out)
        assert set(table(out).path) == {"a/b.parquet#0", "a/b.parquet#1", "c.PARQUET#0", "c.PARQUET#1"}


class TestUrls:
    def test_links_in_a_folder_of_this_machine(self, model, images, out, expected, tmp_path):
        plain(1).save(tmp_path / "outside.png")
        (images / "00/link.png").symlink_to(tmp_path / "outside.png")
        (images / "00/broken.png").symlink_to(tmp_path / "absent.png")
        (images / "00/round.png").symlink_to("round.png")
        (images / "all.png").symlink_to(images)
        (images / "up").symlink_to(tmp_path)
        os.mkfifo(images / "00/pipe.png")
        (images / "01/z.png").symlink_to(images / "00/0003.png")
        job(model, f"file://{images}", out)
        found = table(out)
        assert found.path.tolist() == [*expected.path, "01/z.png"]
        assert found.score.tolist() == [*expected.score, expected.score[3]]

    @pytest.mark.parametrize("backend", ["serial", "processes"])
    def test_a_folder(self, model, images, out, expected, backend):
        job(model, f"file://{images}", out, backend=backend, workers=1)
        assert table(out).equals(expected)

    def test_an_archive(self, model, images, out, expected, tmp_path):
        shutil.make_archive(str(tmp_path / "a"), "zip", images)
        job(model, f"zip://::file://{tmp_path}/a.zip", out)
        assert table(out).equals(expected)

    def test_a_member_that_unpacks_to_too_much_is_a_row_with_a_reason(self, model, images, out, tmp_path, monkeypatch):
        monkeypatch.setattr("feint.data.remote.LARGEST_UNPACKED", 2**22)
        (images / "bomb.png").write_bytes(bytes(2**22 + 1))
        shutil.make_archive(str(tmp_path / "a"), "zip", images)
        job(model, f"zip://::file://{tmp_path}/a.zip", out)
        found = table(out).set_index("path")
        assert found.reason["bomb.png"] == "unpacks to too much: the limit is 4 MiB (decompression bomb?)"
        assert found.reason.notna().sum() == 1

    def test_a_folder_in_an_archive(self, model, images, out, expected, tmp_path):
        shutil.make_archive(str(tmp_path / "a"), "zip", images)
        job(model, f"zip://01::file://{tmp_path}/a.zip", out)
        assert same(table(out), expected[25:].reset_index(drop=True))

    def test_memory(self, model, images, out, expected):
        system = fsspec.filesystem("memory")
        system.put(f"{images}/", "/bulk", recursive=True)
        job(model, "memory://bulk", out)
        assert table(out).equals(expected)
        system.rm("/bulk", recursive=True)

    def test_manifests_and_parquet(self, model, images, out, expected, tmp_path):
        pd.DataFrame({"image_path": expected.path}).to_csv(images / "m.csv", index=False)
        job(model, f"file://{images}/m.csv", out)
        assert table(out).equals(expected)
        contents(images).to_parquet(tmp_path / "p.parquet")
        job(model, f"file://{tmp_path}/p.parquet", tmp_path / "bytes.parquet")
        assert same(table(tmp_path / "bytes.parquet"), expected)

    @pytest.mark.parametrize("name", ["../outside.png", "link/outside.png"])
    def test_a_manifest_stays_inside(self, model, images, out, tmp_path, name):
        (images / "link").symlink_to(tmp_path)
        (images / "m.csv").write_text(f"image_path\n{name}\n")
        with pytest.raises(InputError, match="stay in its folder"):
            job(model, f"file://{images}/m.csv", out)

    @pytest.mark.parametrize(
        ("url", "error", "told"),
        [
            ("file:///absent/folder", InputError, "does not exist: check the URL"),
            ("zip://::file:///absent.zip", InputError, "does not exist"),
            ("nothing://a/b", SettingError, "a scheme that fsspec does not know"),
            ("s3://bucket/images", SettingError, "not installed: pip install s3fs"),
        ],
    )
    def test_what_cannot_be_opened(self, model, out, url, error, told):
        if url.startswith("s3"):
            try:
                import s3fs  # noqa: F401
            except ImportError:
                pass
            else:
                pytest.skip("the driver is here")
        with pytest.raises(error, match=told):
            job(model, url, out)
        assert not out.exists()

    @pytest.mark.parametrize("url", ["s3://bucket/a", "zip://in::file:///a.zip", "https://host/a", "memory://a"])
    def test_files_below_a_url(self, url):
        assert parent(below(url, "1.png")) == (url, "1.png")


def test_parts_are_listed_alike_every_time(images):
    first, again = (list(list_parts(str(images), column=None, size=10)) for _ in range(2))
    assert first == again
    assert [each.fingerprint for each in first] == [each.fingerprint for each in again]
    assert len({each.fingerprint for each in first}) == len(first) == 4
