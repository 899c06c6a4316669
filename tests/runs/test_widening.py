"""A landscape that is highest at a bound is searched once more beyond it, and what cannot go further is told."""

import json

import pytest
import torch
from safetensors.torch import save_file
from small_runs import BUDGET, tune_arguments

import feint
from feint.augmentations import AUGMENTATIONS
from feint.core.augmentation import Magnitude
from feint.core.streams import stream
from feint.runs import landscapes
from feint.runs.jobs import LandscapeJob, Material, Pixels
from feint.runs.landscapes import better, landscape_record, wider
from feint.runs.recipes import whole_range
from feint.tuning.landscape import LandscapeTuner

INSIDE = {"area": 0.05, "aspect": 0.5, "angle": 90.0, "amplitude": 0.3}


@pytest.mark.parametrize(
    ("scale", "low", "high", "end", "limit", "expected"),
    [
        ("linear", 0.0, 2.0, 1, 9.0, (0.0, 3.0)),
        ("linear", 0.0, 2.0, 1, 2.5, (0.0, 2.5)),
        ("linear", 1.0, 2.0, 0, 0.0, (0.5, 2.0)),
        ("log", 0.01, 1.0, 1, 99.0, (0.01, 10.0)),
        ("log", 0.01, 1.0, 0, 0.0, (0.001, 1.0)),
        ("log", 0.01, 1.0, 0, None, (0.01, 1.0)),
        ("linear", 0.0, 2.0, 1, None, (0.0, 2.0)),
    ],
)
def test_a_magnitude_goes_half_its_range_further_but_not_past_its_limit(scale, low, high, end, limit, expected):
    most, least = (limit, None) if end else (None, limit)
    found = Magnitude(name="a", unit="", low=low, high=high, scale=scale, least=least, most=most).beyond(end)
    assert (found.low, found.high) == pytest.approx(expected)


def test_every_augmentation_works_at_its_limits():
    images = torch.rand(3, 3, 32, 32, generator=stream(0, "images"))
    for kind in AUGMENTATIONS.values():
        for limit in ("least", "most"):
            found = {m.name: getattr(m, limit) for m in kind.magnitudes if getattr(m, limit) is not None}
            for name, value in found.items():
                middle = {m.name: float(m.at(torch.tensor(0.5))) for m in kind.magnitudes}
                noise = kind().draw(images, generator=stream(0, "noise"))
                changed = kind().apply(images, noise, torch.tensor(list((middle | {name: value}).values())))
                assert changed.isfinite().all(), (kind, name, value)


@pytest.fixture
def finished_landscape(tmp_path):
    """Return a maker of finished landscapes of CutDiff, whose highest point lies at the magnitudes given."""

    def make(height: float, job: LandscapeJob | None = None, **magnitudes: float) -> LandscapeJob:
        if job is None:
            images = Pixels(path=tmp_path / "none.npy")
            of = Material(normal=images, unlabelled=images, training=[], held_out=[], pool=[])
            job = LandscapeJob(
                id="landscape", material=of, making=whole_range("cutdiff"), tuner=LandscapeTuner(), points=2, seed=0
            )
        settings = torch.tensor([list(INSIDE.values()), list((INSIDE | magnitudes).values())])
        values = torch.tensor([0.4, height], dtype=torch.float64)
        found = {"points": settings, "values": values, "smoothed": values.clone()}
        save_file(
            found | {"held_out": torch.zeros(2, 3), "unlabelled": torch.zeros(2, 4)}, tmp_path / f"{job.id}.safetensors"
        )
        return job

    return make


def test_inside_its_range_it_stays_as_it_is(finished_landscape, tmp_path):
    job = finished_landscape(0.7, angle=179.9)  # an angle has no end
    assert wider(job, tmp_path) is None
    assert better(job, None, tmp_path) is job
    record = landscape_record(job, tmp_path, (32, 32))
    assert (record.at_bound, record.widened, record.smoothed) == ([], False, 0.7)
    assert record.chosen == pytest.approx(INSIDE | {"angle": 179.9})


@pytest.mark.parametrize(("height", "wins"), [(0.8, True), (0.6, False)])
def test_at_a_bound_that_can_be_passed(finished_landscape, tmp_path, height, wins):
    job = finished_landscape(0.7, area=0.4)
    wide = wider(job, tmp_path)
    assert wide.id != job.id
    assert wide.making.ranges == whole_range("cutdiff").ranges | {"area": (0.003, 1.0)}
    finished_landscape(height, wide, area=0.6)
    assert better(job, wide, tmp_path) is (wide if wins else job)
    assert wider(wide, tmp_path) is None  # once
    record = landscape_record(better(job, wide, tmp_path), tmp_path, (32, 32))
    assert (record.widened, record.at_bound) == (True, [])
    assert record.ranges["area"][1] == (1.0 if wins else 0.4)
    assert record.chosen["area"] == pytest.approx(0.6 if wins else 0.4)


def test_at_the_bound_of_the_wider_range_too(finished_landscape, tmp_path):
    wide = wider(finished_landscape(0.7, area=0.003), tmp_path)
    low, high = wide.making.ranges["area"]
    assert (low, high) == (0.0005, 0.4)
    finished_landscape(0.9, wide, area=low)
    record = landscape_record(wide, tmp_path, (32, 32))
    assert (record.widened, record.at_bound) == (True, ["area"])


def test_what_cannot_go_further_is_only_told(finished_landscape, tmp_path):
    job = finished_landscape(0.7, amplitude=-1.0)
    assert wider(job, tmp_path) is None
    record = landscape_record(job, tmp_path, (32, 32))
    assert (record.widened, record.at_bound) == (False, ["amplitude"])
    both = finished_landscape(0.7, amplitude=1.0, aspect=0.15)
    wide = wider(both, tmp_path)
    assert wide.making.ranges["aspect"][0] < 0.15
    record = landscape_record(both, tmp_path, (32, 32))
    assert (record.widened, set(record.at_bound)) == (False, {"aspect", "amplitude"})
    finished_landscape(0.6, wide)
    record = landscape_record(both, tmp_path, (32, 32))
    assert (record.widened, record.at_bound) == (True, ["amplitude"])


def test_a_whole_run_in_which_every_setting_counts_as_a_bound(command, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(landscapes, "BOUND", 0.5)
    outcome = command(*tune_arguments(*folders, tmp_path / "run"))
    assert outcome.code == 0, outcome.err
    run = feint.Run(tmp_path / "run")
    logged = [json.loads(line)["job"] for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert {"landscape-0-cutdiff-32px", "landscape-0-cutdiff-32px-wider"} <= set(logged)
    (found,) = run.record.landscapes
    assert found.widened
    assert "amplitude" in found.at_bound
    assert len(found.points) == BUDGET.points
    page = (run.path / "report.html").read_text()
    assert "repeated once beyond it" in page
    assert "at the very end of what can be set" in page
