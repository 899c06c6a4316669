"""schemathesis asks the service what its own OpenAPI document allows and forbids, and finds nothing amiss."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_service import started

from feint.app.limits import Limits

pytest.importorskip("schemathesis")

HOOKS = {"SCHEMATHESIS_HOOKS": "schema_images", "PYTHONPATH": str(Path(__file__).parent)}


@pytest.mark.parametrize("token", [None, "a-long-secret"])
def test_the_service_does_what_its_document_says(finished, token, tmp_path):
    with started(finished.path, limits=Limits(), token=token) as serving:
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{serving.client.base_url}/openapi.json"),
                *("--max-examples", "20", "--seed", "1", "--no-color"),
                *(() if token is None else ("--header", f"Authorization: Bearer {token}")),
            ],
            cwd=tmp_path, env=os.environ | HOOKS, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert "No issues found" in found.stdout
