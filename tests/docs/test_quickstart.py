"""The quickstart notebook runs as it is, and prints what the committed one shows, to about a tenth.

As a script it runs the notebook and writes the result: `python tests/docs/test_quickstart.py OUT.ipynb`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "quickstart.ipynb"
SECONDS = 600
NUMBER = r"-?\d+(?:\.\d+)?"


def execute(out):
    """Run the notebook by this interpreter, so that no kernel need be installed for the user, and write it to `out`."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    manager = AsyncKernelManager()
    manager._kernel_spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    notebook = NotebookClient(nbformat.read(NOTEBOOK, as_version=4), km=manager, timeout=SECONDS).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, out)


def printed(notebook):
    """Return what the code cells print or draw, as text, cell by cell."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    return ["".join(each.get("text") or each["data"]["text/plain"] for each in cell.outputs) for cell in cells]


@pytest.mark.slow
def test_the_notebook_prints_what_it_shows(tmp_path):
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-W", "ignore", __file__, out]
    ended = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for mine, theirs in zip(printed(out), printed(NOTEBOOK), strict=True):
        assert re.sub(NUMBER, "#", mine) == re.sub(NUMBER, "#", theirs)
        for one, other in zip(re.findall(NUMBER, mine), re.findall(NUMBER, theirs), strict=True):
            assert float(one) == pytest.approx(float(other), rel=0.1, abs=0.1), (mine, theirs)


def test_the_committed_notebook_was_run_without_an_error():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert any("image/png" in output.get("data", {}) for output in outputs)


if __name__ == "__main__":
    execute(sys.argv[1])
