"""Two processes that `torchrun` starts share each batch: same losses as one, and one voice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from small_pretraining import image_folder, losses, pretrain_arguments


def by_two(*arguments: object, program: tuple[str, ...] = ("-m", "feint")) -> subprocess.CompletedProcess[str]:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program)
    return subprocess.run(
        [sys.executable, *torchrun, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=os.environ | {"FEINT_CORES": "2", "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("method", "encoder"), [("simclr", "resnet8"), ("dino", "vit_micro/8")])
def test_two_processes_take_the_steps_of_one(command, tmp_path, method, encoder):
    images = image_folder(tmp_path / "images")
    options = ("--method", method, "--encoder", encoder, "--json", "--steps", 10)
    found = by_two(*pretrain_arguments(images, tmp_path / "two", *options))
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["batch"] == 8
    assert found.stderr.count("Encoder: ") == 1
    assert command(*pretrain_arguments(images, tmp_path / "one", *options)).code == 0
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 10
    assert np.abs(np.array(one) - np.array(two)).max() < 1e-4
    centre = {name: load_file(tmp_path / name / "learner.safetensors").get("centre") for name in ("one", "two")}
    if method == "dino":
        assert centre["one"].abs().max() > 1e-3
        assert (centre["one"] - centre["two"]).abs().max() < 1e-5
    statistics = [load_file(tmp_path / name / "encoder.safetensors").get("bn1.running_var") for name in ("one", "two")]
    if encoder == "resnet8":
        assert (statistics[0] / statistics[1] - 1).abs().max() < 1e-3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "one", "two"]


THREADS_LEFT = """
import json, os, sys
from pathlib import Path
from feint.cli import main

found = Path(sys.argv.pop(1), os.environ["RANK"])
try:
    main()
except SystemExit as left:
    code = left.code
else:
    code = 0
names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
found.write_text(json.dumps({"code": code, "threads": names}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in Linux's /proc")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    images = image_folder(tmp_path / "images")
    program, found = tmp_path / "program.py", tmp_path / "found"
    program.write_text(THREADS_LEFT)
    found.mkdir()
    ended = by_two(found, *pretrain_arguments(images, tmp_path / "run"), program=(str(program),))
    assert ended.returncode == 0, ended.stderr
    for rank in "01":
        left = json.loads((found / rank).read_text())
        assert left["code"] == 0
        assert not [name for name in left["threads"] if "gloo" in name], left


@pytest.mark.slow
def test_a_failure_of_the_first_process_ends_all(tmp_path):
    found = by_two(*pretrain_arguments(tmp_path / "absent", tmp_path / "run"))
    assert found.returncode != 0
    assert found.stderr.count("absent does not exist: check the path.") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_batch_that_two_processes_cannot_share(tmp_path):
    images = image_folder(tmp_path / "images")
    found = by_two(*pretrain_arguments(images, tmp_path / "run", "--batch", 7))
    assert found.returncode != 0
    assert found.stderr.count("a batch of 7 images cannot be shared evenly by 2 processes: change --batch.") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
