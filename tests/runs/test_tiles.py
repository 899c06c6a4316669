"""Large images get a candidate that sees them tile by tile; it stands beside the others like any of them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_runs import BUDGET, defective, picture, tune_arguments, write

import feint
from feint.runs.settings import BUDGETS


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Return a finished run on images of twice the usual side."""
    monkeypatch.setitem(BUDGETS, "quick", replace(BUDGET, tiles=2))
    normal = write(tmp_path / "n", {f"{i:03d}.png": picture(i, side=64) for i in range(110)})
    unlabelled = {f"{i:03d}.png": picture(1000 + i, defect=defective(i), side=64) for i in range(60)}
    outcome = command(*tune_arguments(normal, write(tmp_path / "u", unlabelled), tmp_path / "run"))
    assert outcome.code == 0, outcome.err
    return feint.Run(tmp_path / "run")


def test_it_is_weighed_saved_and_scores_new_images(run, tmp_path):
    sizes = {each.name: each.size for each in run.record.candidates}
    assert sizes["mixture-tiles"] == (64, 64)
    assert sizes["mixture"] == sizes["none"] == (32, 32)
    again = feint.score(run, tmp_path / "u").set_index("path").loc[run.scores.path]
    np.testing.assert_allclose(again.score, run.scores.score, rtol=1e-4, atol=1e-4)
    names = {each.name for each in run.record.candidates}
    for path in (tmp_path / "u").iterdir():
        kind = "defect" if defective(int(path.stem)) else "good"
        (tmp_path / "test" / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "test" / kind)
    write(tmp_path / "test", {"good/new.png": picture(5000, side=64)})
    found = {each.name: each.auroc for each in feint.evaluate(run, tmp_path / "test", all_candidates=True).candidates}
    assert found.keys() == names
    assert all(0 <= auroc <= 1 for auroc in found.values())
