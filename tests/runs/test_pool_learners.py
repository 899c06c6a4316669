"""A voter that learns from the unlabelled images judges only those it has not seen, and the false-alarm rate holds."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_runs import BUDGET, defective, normal_folder, picture, pictures, unlabelled_folder, write

import feint
from feint.backends import open_backend
from feint.calibration.conformal import p_values
from feint.data import decode, open_images
from feint.detectors.committee import Committee
from feint.runs import choosing, tune
from feint.runs.candidates import Candidate, final_jobs, planned
from feint.runs.carrying_out import Crew
from feint.runs.judging import judge
from feint.runs.model import Model
from feint.runs.preparing import prepare
from feint.runs.progress import Silent
from feint.runs.recipes import FOLDS
from feint.runs.settings import TuneSettings
from feint.runs.workspace import Workspace

RATE = 0.2


@pytest.fixture
def elected(small, monkeypatch, tmp_path):
    """Return a maker of runs in which the named candidates vote, whatever the data say."""

    def run(name: str, normal, unlabelled, voters=("pool-probe", "none"), **settings) -> feint.Run:
        choose = choosing.select

        def forced(held_out, unlabelled, *, defaults, seed):
            found = choose(held_out, unlabelled, defaults=defaults, seed=seed)
            return replace(found, voters=tuple(defaults), joined=())

        def named(candidates):
            return [c for name in voters for c, each in enumerate(candidates) if each.name == name]

        with monkeypatch.context() as context:
            context.setattr(choosing, "select", forced)
            context.setattr(choosing, "default_rows", named)
            return feint.tune(
                normal, unlabelled, out=tmp_path / name, budget="quick", augmentations=["cutdiff"], **settings
            )

    return run


@pytest.mark.parametrize("voters", [("pool-probe",), ("pool-probe", "none")])
def test_an_image_does_not_take_part_in_what_judges_it(elected, folders, tmp_path, voters):
    """With one image exchanged, the scores of its own fold stay as they are, and only those."""
    first = elected("first", *folders, voters=voters)
    other = shutil.copytree(folders[1], tmp_path / "other")
    write(other, {"007.png": picture(77, defect=True) // 2})
    second = elected("second", folders[0], other, voters=voters)
    assert first.record.choice.candidate == (voters[0] if len(voters) == 1 else "ensemble")
    a, b = (run.scores.set_index("path").score.drop("007.png").sort_index() for run in (first, second))
    same = (a == b).sum()
    assert same == 60 // FOLDS - 1
    assert first.scores.set_index("path").score["007.png"] != second.scores.set_index("path").score["007.png"]


def test_known_normal_images_in_the_pool_teach_nothing(elected, folders, tmp_path):
    alone = elected("alone", *folders)
    mixed = shutil.copytree(folders[1], tmp_path / "mixed")
    for path in sorted(folders[0].iterdir())[:15]:
        shutil.copy(path, mixed / f"known-{path.name}")
    run = elected("beside", folders[0], mixed)
    found = run.scores.set_index("path")
    pool = alone.scores.set_index("path").sort_index()
    assert found.drop([path for path in found.index if path.startswith("known")]).sort_index().equals(pool)
    assert (found.p_value[found.index.str.startswith("known")] == 1).all()


def test_the_saved_model_scores_new_images_as_the_one_in_memory(elected, folders, monkeypatch, tmp_path):
    kept = []
    write_run = tune.write_run
    monkeypatch.setattr(tune, "write_run", lambda *a, **named: (kept.append(named["verdict"]), write_run(*a, **named)))
    run = elected("run", *folders)
    (member,) = Model.load(run.path).members
    fresh = unlabelled_folder(tmp_path / "fresh", 20, defects=8)
    images = decode(open_images(fresh, role="unlabelled"), [member.preprocessing], workers=1)
    before = kept[0].model.members[0].scores(images.pixels[0])
    np.testing.assert_array_equal(member.scores(images.pixels[0]), before)
    assert isinstance(member.scorer, Committee)
    assert len(member.scorer.members) == FOLDS
    table = feint.score(run, fresh).set_index("path")
    np.testing.assert_allclose(table.score[list(images.names)], before, rtol=1e-5)
    np.testing.assert_allclose(table.p_value[list(images.names)], p_values(member.calibration, before))
    maps = member.maps(images.pixels[0])
    assert maps.shape == (20, 32, 32)
    assert np.isfinite(maps).all()


def test_it_finds_the_defects(elected, folders):
    run = elected("run", *folders)
    labels = np.array([defective(int(path[:3])) for path in run.scores.path])
    assert run.scores.flagged[labels].mean() > run.scores.flagged[~labels].mean()


def verdict(folder, normal, unlabelled, *, voters, seed):
    """Return what voters, one tuple of names per rotation, say of the unlabelled images; nothing else is trained."""
    space = Workspace(folder)
    space.open(resume=False)
    data = prepare(
        normal,
        unlabelled,
        space=space,
        budget=BUDGET,
        image_size=None,
        needed=1,
        seed=seed,
        workers=1,
        monitor=Silent(),
    )
    settings = TuneSettings(budget="quick", seed=seed, false_alarm_rate=RATE, augmentations=("cutdiff",))
    made = {each.name: each for each in planned(settings, BUDGET)}
    chance = np.random.default_rng(seed)

    def candidate(name: str) -> Candidate:
        rotations = len(data.rotations)
        held_out = tuple(40 * chance.random(20) for _ in range(rotations))
        return Candidate(name, made[name].kind, made[name].px, (made[name].recipe,) * rotations, "", held_out, held_out)

    rotations = [[candidate(name) for name in voters[r % len(voters)]] for r in range(len(data.rotations))]
    finals = final_jobs(data, settings, rotations, BUDGET)
    with open_backend(1) as backend:
        crew = Crew(backend, space, Silent())
        crew.carry_out(finals)
        return judge(data, settings, finals, crew)


@pytest.mark.parametrize("voters", [("pool-probe",), ("pool-probe", "none")])
def test_a_pool_without_anomalies_is_flagged_at_the_false_alarm_rate(tmp_path, monkeypatch, voters):
    monkeypatch.setenv("FEINT_CORES", "1")
    shares = []
    for seed in range(6):
        images = pictures(range(1000 * seed, 1000 * seed + 220))
        found = verdict(tmp_path / str(seed), images[:110], images[110:], voters=[voters], seed=seed)
        shares.append(found.unlabelled.flagged.mean())
    expected, error = 4 / 23, 0.077 / 6**0.5  # 22 calibration normals: the rate itself varies as Beta(4, 19)
    assert abs(np.mean(shares) - expected) < 3.5 * error, shares


def test_rotations_that_chose_different_kinds_of_voters_are_judged_together(tmp_path, monkeypatch):
    monkeypatch.setenv("FEINT_CORES", "1")
    voters = [("none",), ("pool-probe",), ("pool-probe", "none"), ("none",), ("pool-probe",)]
    normal, unlabelled = pictures(range(40)), pictures(range(1000, 1060), defects=24)
    found = verdict(tmp_path / "run", normal, unlabelled, voters=voters, seed=0)
    assert len(found.model.members) == 5
    ranks = found.unlabelled.p_values * 41
    np.testing.assert_allclose(ranks, ranks.round(), rtol=1e-9)
    assert found.unlabelled.p_values[:24].mean() < found.unlabelled.p_values[24:].mean()
    calm = verdict(tmp_path / "calm", normal, pictures(range(2000, 2060)), voters=voters[::-1], seed=0)
    assert calm.unlabelled.flagged.mean() <= 2 * RATE


def test_a_cross_fitted_run_from_end_to_end(elected, tmp_path):
    run = elected("run", normal_folder(tmp_path / "n", 30), unlabelled_folder(tmp_path / "u", 30, defects=12))
    assert run.record.data.rotations == 5
    again = feint.score(run, tmp_path / "u").set_index("path").loc[run.scores.path]
    assert np.corrcoef(again.score, run.scores.score)[0, 1] > 0.8
