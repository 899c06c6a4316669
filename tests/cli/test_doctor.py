import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def feint_doctor(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    code = "import typer; from feint.cli.doctor import doctor; typer.run(doctor)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FEINT_", "OMP_"))} | changed
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def checks_of(found: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in json.loads(found.stdout)["checks"]}


def test_a_working_machine_passes_in_plain_words():
    found = feint_doctor()
    assert found.returncode == 0, found.stdout
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


def test_json_is_one_document_and_names_the_limit_of_the_cores():
    found = feint_doctor("--json", FEINT_CORES="1")
    assert found.returncode == 0, found.stdout
    report = json.loads(found.stdout)
    assert report["ok"] is True
    assert report["cores"]["available"] == report["cores"]["FEINT_CORES"] == 1
    assert report["torch_threads"] == 1
    assert sorted(report["extras_present"] + report["extras_absent"]) == sorted(
        ["pyarrow", "kornia", "timm", "ray", "onnxruntime", "fastapi", "elpv_dataset"]
    )


def test_a_folder_that_cannot_be_written_to_fails_one_check_with_advice(tmp_path):
    code = (
        "import tempfile, typer; tempfile.tempdir = {!r}; from feint.cli.doctor import doctor; typer.run(doctor)"
    ).format(str(tmp_path / "absent"))
    found = subprocess.run(
        [sys.executable, "-c", code, "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 1
    checks = checks_of(found)
    assert [name for name, check in checks.items() if not check["ok"]] == ["files"]
    assert "TMPDIR" in checks["files"]["advice"]


def test_a_broken_torch_is_a_finding_not_a_traceback(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so: cannot open shared object file')\n")
    found = feint_doctor(PYTHONPATH=str(tmp_path))
    assert found.returncode == 1
    assert "Traceback" not in found.stdout + found.stderr
    assert "libtorch_cpu.so" in found.stdout
    assert "pip install --force-reinstall torch" in found.stdout
    assert "checks failed." in found.stdout


def test_a_senseless_number_of_cores_is_named():
    found = feint_doctor(FEINT_CORES="many")
    assert found.returncode == 1
    assert "FEINT_CORES must be a whole number" in found.stdout


@pytest.mark.parametrize("how", ["forward", "wrong gradient", "not repeatable"])
def test_each_fault_of_the_arithmetic_is_caught(how, tmp_path):
    """Break torch itself, in a process of its own, and see the check that guards it fail."""
    broken = {
        "forward": ("trains", "torch.relu = lambda x: x * float('nan')"),
        "wrong gradient": (
            "second order",
            "real = torch.autograd.grad\n"
            "torch.autograd.grad = lambda y, x, **k: [2 * g for g in real(y, x, **k)] if torch.is_tensor(x) else real(y, x, **k)",
        ),
        "not repeatable": ("same seed", "torch.manual_seed = lambda seed: torch.seed()"),
    }
    check, sabotage = broken[how]
    script = Path(tmp_path) / "broken.py"
    script.write_text(f"import torch, typer\n{sabotage}\nfrom feint.cli.doctor import doctor\ntyper.run(doctor)\n")
    found = subprocess.run(
        [sys.executable, str(script), "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 1, found.stdout + found.stderr
    assert not checks_of(found)[check]["ok"]
