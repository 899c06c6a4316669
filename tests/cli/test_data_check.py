import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from feint.cli.data import app
from feint.core.errors import InputError


def picture(seed: int, shape: tuple[int, ...] = (30, 40)) -> Image.Image:
    """Return random blobs: no two seeds look alike, and resizing keeps what they show."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, *shape[2:]), np.uint8)
    return Image.fromarray(coarse).resize(shape[1::-1], Image.Resampling.BICUBIC)


@pytest.fixture
def category(tmp_path):
    """Write an MVTec category with one of everything there is to tell."""
    root = tmp_path / "tile"
    for part in ("train/good", "test/good", "test/crack"):
        (root / part).mkdir(parents=True)
    for i in range(24):
        picture(i).save(root / f"train/good/{i:02d}.png")
    picture(3).save(root / "train/good/copy of 03.bmp")
    picture(5).resize((80, 60), Image.Resampling.BICUBIC).save(root / "train/good/large 05.png")
    (root / "train/good/broken.png").write_bytes(b"")
    picture(7).save(root / "test/good/known.tif")
    picture(50, (30, 40, 3)).save(root / "test/crack/red.png")
    picture(51).resize((44, 33), Image.Resampling.BICUBIC).save(root / "test/crack/51.png")
    Image.fromarray(np.asarray(picture(8)) // 2 + 40).save(root / "test/good/dim 08.png")
    return root


def check(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)], catch_exceptions=False)


def test_json_tells_everything(category):
    result = check(category, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    normal, unlabelled = found["normal"], found["unlabelled"]
    assert (normal["layout"], normal["images"], normal["folders"]) == ("mvtec", 26, {"train/good": 26})
    assert unlabelled["folders"] == {"test/crack": 2, "test/good": 2}
    assert (normal["smallest"], normal["median"], normal["largest"]) == ([30, 40], [30, 40], [60, 80])
    assert normal["modes"] == {"L": 26}
    assert unlabelled["modes"] == {"L": 3, "RGB": 1}
    assert normal["skipped"] == [{"path": "train/good/broken.png", "reason": "empty file (0 bytes)"}]
    assert normal["duplicates"] == [["train/good/03.png", "train/good/copy of 03.bmp"]]
    assert normal["near_duplicates"] == [["train/good/05.png", "train/good/large 05.png"]]
    assert found["shared"] == [["test/good/known.tif", "train/good/07.png"]]
    assert found["nearly_shared"] == [["test/good/dim 08.png", "train/good/08.png"]]
    assert found["preprocessing"] == {"channels": 1, "height": 32, "width": 40, "white": 255}
    assert found["rates"] == [
        {"rate": 0.05, "needed": 19, "enough": True},
        {"rate": 0.01, "needed": 99, "enough": False},
    ]
    assert (found["usable"], found["problems"]) == (True, [])


def test_plain_lines(category):
    lines = check(category).stdout.splitlines()
    assert f"normal: 26 images in {category}, read as a category in the MVTec layout" in lines[0]
    for line in (
        "unlabelled folder: test/crack: 2",
        "normal pixels: 26 L (8-bit grey)",
        "unlabelled pixels: 3 L (8-bit grey), 1 RGB (3 x 8 bits)",
        "normal skipped: 1 image: train/good/broken.png (empty file (0 bytes))",
        "normal duplicates: 1 group: train/good/03.png = train/good/copy of 03.bmp",
        "at 64 px: grey, resized to 32 x 40, white at 255",
        "1% false alarms: too few normal images: 99 are needed to calibrate",
        "usable: yes",
    ):
        assert line in lines


def test_an_image_that_is_cut_short_counts_nowhere(category):
    whole = (category / "train/good/large 05.png").read_bytes()
    (category / "train/good/large 05.png").write_bytes(whole[: len(whole) // 2])
    normal = json.loads(check(category, "--json").stdout)["normal"]
    assert (normal["images"], normal["modes"], normal["largest"]) == (25, {"L": 25}, [30, 40])
    assert len(normal["skipped"]) == 2


def test_two_folders(category):
    found = json.loads(check(category / "train/good", category / "test/crack", "--json").stdout)
    assert (found["normal"]["layout"], found["normal"]["folders"]) == ("folder", {".": 26})
    assert found["unlabelled"]["images"] == 2
    assert json.loads(check(category / "train/good", "--json").stdout)["unlabelled"] is None


def test_too_few_normal_images_are_not_usable(category):
    result = check(category / "test/good")
    assert result.exit_code == 3
    assert "problem: 2 readable normal images are too few" in result.stdout
    assert "usable: no" in result.stdout


def test_unlabelled_images_that_are_all_known_are_not_usable(category):
    result = check(category / "train/good", category / "train/good")
    assert result.exit_code == 3
    assert (
        "problem: All 26 unlabelled images also stand among the normal ones: there is nothing to tell apart."
        in result.stdout
    )
    assert "usable: no" in result.stdout


def test_identical_normal_images_are_not_usable(tmp_path):
    for i in range(30):
        picture(0).save(tmp_path / f"{i}.png")
    result = check(tmp_path, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["problems"] == [
        "all 30 normal images are identical, pixel for pixel: give different pictures of normal parts."
    ]


def test_a_folder_that_cannot_be_opened_raises(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        check(tmp_path / "nothing")


def test_a_table_in_a_terminal(category):
    master, slave = pty.openpty()
    code = "import sys; from feint.cli.data import app; app(['check', sys.argv[1]])"
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code, category], stdout=slave, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # Linux tells so that the other end was closed
            pass
    os.close(master)
    assert process.returncode == 0
    text = shown.decode()
    assert "\x1b[1m" in text  # topics are bold
    assert "train/good/03.png = train/good/copy of 03.bmp" in text
