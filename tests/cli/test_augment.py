"""`feint augment` writes a contact sheet, and says what is wrong when it cannot."""

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from feint.augmentations.policies import POLICIES
from feint.cli.augment import augment
from feint.core.errors import InputError, OutputError, SettingError

app = typer.Typer()
app.command()(augment)
SIDE, GAP = 96, 2


@pytest.fixture
def folder(tmp_path):
    """Write five oblong colour images and one that cannot be read."""
    root = tmp_path / "images"
    root.mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{i}.png")
    (root / "broken.png").write_bytes(b"")
    return root


def run(*arguments: object):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refused(*arguments: object) -> Exception:
    """Return the error with which the command ends."""
    found = run(*arguments)
    assert found.exit_code != 0
    assert found.exception is not None
    return found.exception


@pytest.mark.parametrize("name", [*POLICIES, "cutout-0.1"])
def test_every_augmentation_has_a_sheet_of_oblong_images(name, folder, tmp_path):
    out = tmp_path / "sheets" / "sheet.png"
    found = run(name, folder, "--out", out, "--rows", 3, "--columns", 2, "--size", 32)
    assert found.exit_code == 0, found.output
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == (2 * (SIDE + GAP), 3 * (SIDE + GAP))
        pixels = np.asarray(sheet)
    assert (pixels[:, :SIDE] != pixels[:, SIDE + GAP : -GAP]).any()


def test_there_are_no_more_rows_than_readable_images(folder, tmp_path):
    assert run("flip", folder, "--out", tmp_path / "sheet.png", "--rows", 50, "--size", 32).exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[1] == 5 * (SIDE + GAP)


def test_small_images_keep_their_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    assert run("invert", tmp_path / "images.npy", "--out", tmp_path / "sheet.png", "--rows", 1).exit_code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        shown = np.asarray(sheet)[1:SIDE:3, 1 : 2 * SIDE + GAP : 3]
    assert np.array_equal(shown[:, :32], pixels[0])


def test_the_same_seed_writes_the_same_sheet(folder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run("noise", folder, "--out", tmp_path / f"{name}.png", "--seed", seed, "--size", 32).exit_code == 0
    first, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == again != other


def test_a_sheet_is_never_overwritten(folder, tmp_path):
    (tmp_path / "sheet.png").write_text("mine")
    error = refused("flip", folder, "--out", tmp_path / "sheet.png")
    assert isinstance(error, OutputError)
    assert (tmp_path / "sheet.png").read_text() == "mine"


def test_a_sheet_is_a_png(folder, tmp_path):
    error = refused("flip", folder, "--out", tmp_path / "sheet.jpg")
    assert isinstance(error, SettingError)
    assert str(error) == f"--out must end in .png: got {tmp_path / 'sheet.jpg'}."
    assert not (tmp_path / "sheet.jpg").exists()


def test_an_unknown_name_is_refused_before_anything_is_read(tmp_path):
    error = refused("cutuot", tmp_path / "nowhere")
    assert isinstance(error, SettingError)
    assert "did you mean 'cutout'" in str(error)


def test_a_folder_that_does_not_exist_is_an_input_error(tmp_path):
    assert isinstance(refused("flip", tmp_path / "nowhere", "--out", tmp_path / "sheet.png"), InputError)


@pytest.mark.parametrize("option", [("--rows", 0), ("--columns", 1), ("--size", 7), ("--seed", -1)])
def test_impossible_options_are_usage_errors(option, folder, tmp_path):
    found = run("flip", folder, "--out", tmp_path / "sheet.png", *option)
    assert found.exit_code == 2
    assert not (tmp_path / "sheet.png").exists()
