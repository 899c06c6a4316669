"""Fatal input ends in one sentence and leaves nothing behind; tolerable input is listed and the run goes on."""

import csv
import json
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import normal_folder, picture, pictures, tune_arguments, unlabelled_folder, write

import feint
from feint.core.errors import InputError, SettingError
from feint.runs.judging import _rate
from feint.runs.settings import TuneSettings


@pytest.fixture
def fails(command, folders, tmp_path, monkeypatch):
    """Return a maker of failing `feint tune`s that checks that nothing is left, and returns the sentence."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(code: int, *more: object, normal: Path = folders[0], unlabelled: Path = folders[1]) -> str:
        before = sorted(tmp_path.rglob("*"))
        outcome = command(*tune_arguments(normal, unlabelled, tmp_path / "run", *more))
        assert outcome.code == code, outcome.err
        assert outcome.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return outcome.sentence

    return run


@pytest.fixture
def tuned(command, folders, tmp_path):
    """Return a maker of `feint tune`s that succeed; returns the run."""

    def run(*more: object, normal: Path = folders[0], unlabelled: Path = folders[1]) -> feint.Run:
        outcome = command(*tune_arguments(normal, unlabelled, tmp_path / "run", *more))
        assert outcome.code == 0, outcome.err
        assert sorted(path.name for path in tmp_path.glob("*run*")) == ["run"]
        found = feint.Run(tmp_path / "run")
        assert found.record.found.sentence in outcome.err
        assert all(warning.message in outcome.err for warning in found.record.warnings)
        return found

    return run


def codes(run: feint.Run) -> list[str]:
    return [warning.code for warning in run.record.warnings]


def declared_png(path: Path, side: int) -> Path:
    """Write a PNG whose header declares side x side pixels and whose data ends at once."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)))
    return path


class TestFatal:
    def test_a_missing_folder(self, fails, tmp_path, folders):
        assert "does not exist" in fails(3, normal=tmp_path / "absent")
        assert f"did you mean {folders[1]}?" in fails(3, unlabelled=folders[1].with_name("unlabeled"))

    @pytest.mark.parametrize("role", ["normal", "unlabelled"])
    def test_an_empty_folder(self, fails, tmp_path, role):
        (tmp_path / "empty").mkdir()
        assert "no images in" in fails(3, **{role: tmp_path / "empty"})

    @pytest.mark.parametrize("role", ["normal", "unlabelled"])
    def test_nothing_but_corrupt_files(self, fails, tmp_path, role):
        whole = write(tmp_path / "bad", {f"{i}.png": picture(i) for i in range(25)})
        for i, path in enumerate(sorted(whole.iterdir())):
            path.write_bytes(path.read_bytes()[: 30 * (i % 3)])
        assert "none of the 25 images" in fails(3, **{role: whole})

    def test_headers_that_are_right_before_pixels_that_are_cut(self, fails, tmp_path):
        whole = write(tmp_path / "cut", {f"{i}.png": picture(i) for i in range(25)})
        for path in whole.iterdir():
            path.write_bytes(path.read_bytes()[:200])
        assert "damaged" in fails(3, normal=whole)

    def test_nineteen_normal_images(self, fails, tmp_path):
        assert fails(3, normal=normal_folder(tmp_path / "few", 19)).startswith(
            "19 readable normal images are too few: 20"
        )

    def test_twenty_normal_images_of_which_one_is_broken(self, fails, tmp_path):
        few = normal_folder(tmp_path / "few", 20)
        (few / "007.png").write_bytes(b"")
        assert "1 more could not be read, the first because: empty file" in fails(3, normal=few)

    def test_identical_normal_images(self, fails, tmp_path):
        same = write(tmp_path / "same", {f"{i}.png": picture(0) for i in range(30)})
        assert "all 30 normal images are identical" in fails(3, normal=same)

    def test_copies_of_a_few_normal_images(self, fails, tmp_path):
        copies = write(tmp_path / "copies", {f"{i}.png": picture(i % 3) for i in range(120)})
        assert "copies of only 3 different ones" in fails(3, normal=copies)

    def test_a_rate_that_so_few_images_cannot_support(self, fails):
        sentence = fails(3, "--false-alarm-rate", "0.001")
        assert "at least 999 normal images" in sentence
        assert "got 110" in sentence

    def test_two_kinds_of_rate(self, fails):
        assert "not both" in fails(2, "--false-alarm-rate", "0.05", "--fdr", "0.1")

    @pytest.mark.parametrize("rate", ["0", "1", "-0.1", "nan"])
    def test_a_rate_that_is_none(self, fails, rate):
        assert "false_alarm_rate" in fails(2, "--false-alarm-rate", rate)

    def test_an_unknown_augmentation_or_nuisance(self, fails):
        assert "'cutdif' is not one of cutdiff, rotation" in fails(2, "--augmentations", "cutdif")
        assert "'flip' is not one of flips, brightness" in fails(2, "--nuisance", "flip")

    def test_all_wrong_settings_are_told_at_once(self, fails):
        sentence = fails(2, "--image-size", "4", "--fdr", "7", "--nuisance", "no")
        assert all(name in sentence for name in ("image_size", "fdr", "nuisances"))

    @pytest.mark.parametrize("device", ["tpu9", "cuda:77"])
    def test_a_device_that_is_not_there(self, fails, device):
        assert "torch cannot compute on it" in fails(2, "--device", device)

    def test_an_image_larger_than_the_limit_as_the_only_content(self, fails, tmp_path):
        bomb = declared_png(tmp_path / "bomb/huge.png", 60_000).parent
        assert "3,600 megapixels" in fails(3, normal=bomb)
        assert "3,600 megapixels" in fails(3, unlabelled=bomb)

    def test_a_run_that_exists_is_never_overwritten(self, fails, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run/mine.txt").write_text("precious")
        assert "exists already and is never overwritten" in fails(4)
        assert "exists already" in fails(4, "--resume")
        assert (tmp_path / "run/mine.txt").read_text() == "precious"

    def test_a_place_where_nothing_can_be_made(self, fails, tmp_path):
        (tmp_path / "file").write_text("")
        assert "cannot be written" in fails(4, "--out", tmp_path / "file/run")
        (tmp_path / "run.partial").write_text("")
        assert "cannot be written" in fails(4)

    def test_arrays_without_a_name_for_the_run(self, small, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with pytest.raises(InputError, match="too few"):
            feint.tune(pictures(range(5)), pictures(range(9)))
        with pytest.raises(SettingError, match="budget"):
            feint.tune(pictures(range(25)), pictures(range(9)), budget="huge")
        assert list(tmp_path.iterdir()) == []


class TestTolerated:
    def test_damaged_and_odd_files_among_good_ones(self, tuned, tmp_path):
        for name, make in (("n", normal_folder), ("u", unlabelled_folder)):
            folder = make(tmp_path / name)
            whole = (folder / "000.png").read_bytes()
            (folder / "empty.png").write_bytes(b"")
            (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
            (folder / "text.jpg").write_text("not an image")
            write(folder, {"dot.png": picture(0)[:1, :1]})
            declared_png(folder / "poster.png", 20_000)
        run = tuned(normal=tmp_path / "n", unlabelled=tmp_path / "u")
        for record in (run.record.data.normal, run.record.data.unlabelled):
            reasons = {each.path: each.reason for each in record.skipped}
            assert set(reasons) == {"empty.png", "cut.png", "text.jpg", "dot.png", "poster.png"}
            assert "400 megapixels" in reasons["poster.png"]
            assert "1 x 1 pixels" in reasons["dot.png"]
        assert len(run.scores) == 60
        assert len(run.normals) == 110
        page = (run.path / "report.html").read_text()
        assert "poster.png" in page and "400 megapixels" in page

    def test_mixed_sizes_and_modes(self, tuned, tmp_path):
        n, u = normal_folder(tmp_path / "n", 105), unlabelled_folder(tmp_path / "u", 30, defects=8)
        for folder in (n, u):
            grey = Image.fromarray(picture(5000 + len(folder.name), side=48))
            for mode in ("RGB", "RGBA", "P", "1", "LA", "CMYK"):
                suffix = "tif" if mode == "CMYK" else "png"
                grey.rotate(len(mode) * 11).convert(mode).save(folder / f"mode {mode}.{suffix}")
            Image.fromarray(picture(77, side=64)[:20]).save(folder / "wide.bmp")
            Image.fromarray(picture(78, side=64).astype(np.uint16) * 257).save(folder / "deep.tif")
            grey.save(folder / "soft.jpg")
            grey.resize((300, 260)).save(folder / "web.webp")
        run = tuned(normal=n, unlabelled=u)
        assert (len(run.normals), len(run.scores)) == (115, 40)
        assert run.record.data.normal.largest == (260, 300)
        assert run.record.data.normal.modes["RGBA"] == 1
        assert np.isfinite(run.scores.score).all()

    def test_copies_are_listed_and_stay_together(self, tuned, tmp_path):
        n = write(tmp_path / "n", {f"{i:03d}.png": picture(i % 60) for i in range(110)})
        run = tuned(normal=n)
        assert len(run.record.data.normal.duplicates) == 50
        assert "duplicates" in codes(run)
        scores = run.normals.set_index("path").score
        for first, second in run.record.data.normal.duplicates:  # judged by one detector that saw neither
            assert scores[first] == pytest.approx(scores[second], rel=1e-5, abs=1e-5)

    def test_an_unlabelled_folder_that_equals_the_normal_one(self, tuned, folders):
        run = tuned(unlabelled=folders[0])
        assert run.record.found.flagged == run.scores.flagged.sum() == 0
        assert run.record.found.sentence.startswith("Nothing found")
        assert len(run.record.data.shared) == 110
        assert (run.scores.p_value == 1).all()

    @pytest.mark.parametrize("rate", [("--false-alarm-rate", "0.5"), ("--fdr", "0.6")])
    def test_unlabelled_images_that_are_known_to_be_normal_are_never_flagged(self, tuned, tmp_path, folders, rate):
        mixed = shutil.copytree(folders[1], tmp_path / "mixed")
        for path in sorted(folders[0].iterdir())[:40]:
            shutil.copy(path, mixed / f"known {path.name}")
        run = tuned(*rate, unlabelled=mixed)
        known = run.scores.path.str.startswith("known")
        assert known.sum() == len(run.record.data.shared) == 40
        assert run.scores[known].flagged.sum() == 0
        assert run.scores[~known].flagged.sum() >= 20
        assert "shared" in codes(run)

    def test_a_pool_of_one_image(self, tuned, tmp_path):
        run = tuned(unlabelled=write(tmp_path / "one", {"only.png": picture(9, defect=True)}))
        assert run.scores.path.tolist() == ["only.png"]
        assert 0 < run.scores.p_value[0] <= 1

    def test_names_of_every_kind(self, tuned, command, tmp_path, folders):
        names = ["a b.png", "ünïcödé 太陽.png", "a,b;c.png", 'say "no".png', "it's.png", 'sub folder/é,".png']
        names += ["NA.png", "=1+1.png", "line\nbreak.png", "100%.png", "#1.png", "nan.png", "1e5.png"]
        odd = write(tmp_path / "odd", {name: picture(i, defect=i < 5) for i, name in enumerate(names)})
        run = tuned(unlabelled=odd)
        assert sorted(run.scores.path) == sorted(names)
        outcome = command("score", run.path, odd, "--out", tmp_path / "again.csv", "--maps", tmp_path / "maps")
        assert outcome.code == 0
        assert (tmp_path / 'maps/sub folder/é,".png.png').is_file()
        labels = tmp_path / "labels.csv"
        with labels.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "label"), *((name, int(i < 5)) for i, name in enumerate(names))])
        found = feint.evaluate(run, labels)
        assert (found.normal, found.anomalous) == (8, 5)


def test_the_default_rate_falls_back_to_what_the_images_support():
    rate, (warning,) = _rate(TuneSettings(), 12, 60)
    assert rate == pytest.approx(1 / 13)
    assert "12 calibration normals cannot support a false-alarm rate of 5 %: 7.7 % is used" in warning.message
    assert _rate(TuneSettings(), 19, 60) == (0.05, [])


def test_settings_survive_json(finished):
    settings = json.loads((finished.path / "run.json").read_text())["settings"]
    assert TuneSettings.model_validate(settings).budget == "quick"
