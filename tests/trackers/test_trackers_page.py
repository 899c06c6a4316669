"""The tracker on the page is one, and works as the page says."""

import csv
import re
from pathlib import Path

import pytest
from small_runs import normal_folder, unlabelled_folder
from tracked_runs import in_log, in_tensorboard

PAGE = Path(__file__).parent.parent.parent / "docs" / "trackers.md"


@pytest.mark.usefixtures("small")
def test_the_tracker_of_the_page(tmp_path, monkeypatch):
    normal_folder(tmp_path / "images/good")
    unlabelled_folder(tmp_path / "images/new")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(block, "trackers.md", "exec", dont_inherit=True), {"__name__": "page"})
    with (tmp_path / "runs/first.csv").open(newline="") as file:
        rows = {(name, int(step)): float(value) for name, step, value in csv.reader(file)}
    logged = in_log(tmp_path / "runs/first/metrics.jsonl")
    assert logged == {key: rows[key] for key in logged}
    assert rows.keys() == in_tensorboard(tmp_path / "runs/tensorboard/first").keys()
    names = {name.partition("/")[0] for name, _ in rows}
    told = set(re.findall(r"`([a-z_]+)/", PAGE.read_text()))
    assert names <= told
