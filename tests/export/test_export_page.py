"""The program on the page of exports runs, and says what `feint score` does."""

import re
import shutil
from pathlib import Path

import numpy as np

import feint

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def test_the_program_of_the_page(exported, finished, tmp_path, monkeypatch):
    shutil.copytree(exported[0], tmp_path / "exported")
    (tmp_path / "parts").mkdir()
    for place in ("part.png", "parts/part.png"):
        shutil.copy(finished.unlabelled / "007.png", tmp_path / place)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {"__name__": "page"}
    exec(compile(block, "export.md", "exec", dont_inherit=True), names)
    found, expected = names["found"], feint.score("exported", "parts")
    np.testing.assert_allclose(found.scores, expected.score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.p_values, expected.p_value, rtol=1e-5)
    assert found.labels.tolist() == expected.flagged.astype(bool).tolist()
    assert found.maps.shape == (1, 32, 32)
