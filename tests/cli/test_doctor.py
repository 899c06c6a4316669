import itertools
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
import torch
import typer

from feint.backends import limit_threads
from feint.cli.doctor import doctor

doctors = sys.modules["feint.cli.doctor"]  # in the package, the name is that of the function


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    limit_threads(1)
    yield
    limit_threads(before)


def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from feint.cli import main; main()", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | changed,
    )


def failed_checks(capsys) -> dict[str, dict[str, str]]:
    """Run the self-test in this process and return the checks that failed by name."""
    with pytest.raises(typer.Exit) as left:
        doctor(json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (left.value.exit_code == 0)
    assert report["ok"] is all(check["ok"] for check in report["checks"])
    return {check["name"]: check for check in report["checks"] if not check["ok"]}


def test_a_working_machine_passes_in_plain_words():
    found = run()
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stderr == ""
    assert "Feint works here." in found.stdout
    assert "\x1b" not in found.stdout
    assert found.stdout.count("\nok ") == 6
    for name in (
        "python",
        "torch",
        "cores",
        "torch threads",
        "devices",
        "memory mib",
        "disk free mib",
        "extras present",
    ):
        assert any(line.startswith(name) for line in found.stdout.splitlines()), name


def test_json_is_one_document_and_names_the_limit_of_the_cores(capsys):
    with pytest.raises(typer.Exit) as left:
        doctor(json=True)
    assert left.value.exit_code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["cores"]["available"] == report["cores"]["FEINT_CORES"] == report["torch_threads"] == 1


def test_extras_are_those_that_pip_knows(monkeypatch):
    declared = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]
    assert set(doctors._extras()) == set(declared["optional-dependencies"])
    lines = ["numpy>=1", 'a[b]>=1; extra == "one"', "c.d==2; python_version > '3' and extra == 'one'"]
    lines += ['feint[one]; extra == "two"', 'e; extra == "two"', 'f; extra == "three"']
    monkeypatch.setattr(doctors, "requires", lambda _: lines)
    versions = dict.fromkeys(["a", "c.d", "e"], "1")
    monkeypatch.setattr(doctors, "_version", lambda package: versions.get(package, "not installed"))
    assert doctors._extras() == {"one": True, "two": True, "three": False}
    del versions["c.d"]
    assert doctors._extras() == {"one": False, "two": False, "three": False}


def test_a_broken_torch_is_a_finding_not_a_traceback(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so: cannot open shared object file')\n")
    found = run(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert found.returncode == 1
    assert "Traceback" not in found.stdout + found.stderr
    assert "libtorch_cpu.so" in found.stdout
    assert "pip install --force-reinstall torch" in found.stdout
    assert "checks failed." in found.stdout


def test_a_senseless_number_of_cores_is_named(capsys, monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "many")
    failed = failed_checks(capsys)
    assert list(failed) == ["imports"]
    assert "FEINT_CORES must be" in failed["imports"]["detail"]


def test_a_folder_that_cannot_be_written_to_fails_one_check_with_advice(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    failed = failed_checks(capsys)
    assert list(failed) == ["files"]
    assert "TMPDIR" in failed["files"]["advice"]


def test_a_network_that_yields_no_numbers_is_caught(capsys, monkeypatch):
    monkeypatch.setattr(torch, "relu", lambda x: x * float("nan"))
    failed = failed_checks(capsys)
    assert "not finite" in failed["trains"]["detail"]
    assert "second order" in failed


def test_a_wrong_gradient_is_caught(capsys, monkeypatch):
    real = torch.autograd.grad

    def wrong(outputs, inputs, **options):
        slopes = real(outputs, inputs, **options)
        return [2 * slope for slope in slopes] if torch.is_tensor(inputs) else slopes

    monkeypatch.setattr(torch.autograd, "grad", wrong)
    assert list(failed_checks(capsys)) == ["second order"]


def test_chance_without_a_seed_is_caught(capsys, monkeypatch):
    seeded, calls = torch.manual_seed, itertools.count()
    monkeypatch.setattr(torch, "manual_seed", lambda seed: seeded(next(calls)))
    assert list(failed_checks(capsys)) == ["same seed"]


def test_a_machine_that_cannot_start_processes_is_caught(capsys, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert list(failed_checks(capsys)) == ["workers"]
