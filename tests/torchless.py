"""The command line as on a machine that has neither torch nor what makes ONNX files."""

import os
import subprocess
import sys

WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "onnxscript"}:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocked())
from feint.cli import main
main()
"""


def feint_without_torch(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"FEINT_CORES": "1"},
        check=False,
    )
