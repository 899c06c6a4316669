"""What the slider says is what the calibration supports, and what `feint tune` would do at that rate."""

import shlex
import shutil
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_reviews import reviewing

import feint
from feint.app.review.desk import Desk
from feint.app.review.subject import unlabelled_of
from feint.app.review.thresholds import Thresholds
from feint.calibration.conformal import p_values
from feint.calibration.decision import decide
from feint.records.run import CalibrationRecord
from feint.runs.recipes import POOL_DETECTORS, Recipe, Voters


def thresholds(calibration, scores, *, rate=0.05, mode="false_alarm_rate"):
    record = CalibrationRecord(
        images=len(calibration), mode=mode, asked=rate, rate=rate, threshold=None, realised=(0, 1), guarantee="Held."
    )
    return Thresholds(
        calibration=np.asarray(calibration), p=p_values(calibration, scores), record=record, what="unlabelled images"
    )


def test_the_words_of_a_level():
    found = thresholds(range(77), [*range(60, 90), 10])
    assert found.own == 3
    assert found.rejected(4) == "Of 100 normal images like yours about 5 would be rejected (calibration: 3 of 77)."
    assert found.found(4) == "16 of 31 unlabelled images are flagged."
    assert found.guarantee(3).startswith("The run's own threshold. Held.")
    assert "chosen by looking" in found.guarantee(4)
    assert "smallest rate that 77 calibration images support is 1.3" in found.guarantee(0)
    assert found.rejected(0).startswith("Of 100,000 normal images like yours 0 would")


@given(
    st.lists(st.integers(0, 30), min_size=3, max_size=60),
    st.lists(st.integers(-5, 35), min_size=1, max_size=40),
    st.data(),
)
def test_every_level_flags_what_its_rate_flags(calibration, scores, data):
    found = thresholds(calibration, scores, rate=0.3)
    level = data.draw(st.sampled_from(found.steps[1:]))
    rate = float(found.rate(level))
    p = p_values(calibration, scores)
    flags = decide(p, false_alarm_rate=rate)
    assert found.flagged(level) == flags.sum()
    assert np.array_equal(found.levels <= level, flags)
    assert np.array_equal(np.asarray(scores) > found.score(level), flags)


def test_the_own_level_is_the_runs_flags(finished, cross_fitted):
    for each in (finished, cross_fitted):
        run = feint.Run(each.path)
        own = thresholds(np.zeros(run.record.calibration.images), [0.0])
        found = Thresholds(
            calibration=None, p=run.scores.p_value.to_numpy(), record=run.record.calibration, what="images"
        )
        assert np.array_equal(found.levels <= found.own, run.scores.flagged.to_numpy() == 1)
        assert found.own in found.steps
        assert found.score(found.own) is None
        assert "cross-fitting" in found.rejected(found.own)
        assert "calibration: 0 of" in own.rejected(own.own)


def test_no_score_separates_images_that_were_judged_by_folds(finished, tmp_path):
    run = feint.Run(finished.path)
    (whole,) = run.model.members
    probe = Recipe(detector=next(iter(POOL_DETECTORS)))
    learned = replace(whole, voters=Voters(recipes=[*whole.voters.recipes, probe]))
    own = unlabelled_of(run)
    others = replace(own, of_run=False)

    def words(subject) -> str:
        with closing(Desk(subject, tmp_path)) as desk:
            found = desk.thresholds
            return f"{found.score(1) is not None}: {found.rejected(1)}"

    assert (
        words(own)
        == words(others)
        == "True: Of 100 normal images like yours about 4 would be rejected (calibration: 0 of 22)."
    )
    run.model = replace(run.model, members=(learned,))
    assert "False: " in words(own)
    assert "(cross-fitting: fewer than 1 of 22 calibration images score as high" in words(own)
    assert words(others).startswith("True")  # new images are judged by all folds together


def test_a_run_by_discoveries_starts_where_it_drew_the_line():
    scores = [*range(50), *[200] * 10]
    found = thresholds(range(100), scores, rate=0.2, mode="fdr")
    assert found.flagged(found.own) == decide(p_values(range(100), scores), fdr=0.2).sum() == 10
    assert thresholds(range(100), range(50), rate=0.01, mode="fdr").own == 0


def test_images_that_were_learned_from_move_no_line_and_are_not_counted():
    scores = [*range(50), *[200] * 10]
    learned = np.arange(60) >= 54
    found = replace(thresholds(range(100), scores, rate=0.1, mode="fdr"), learned=learned)
    others = p_values(range(100), scores)[~learned]
    assert found.flagged(found.own) == decide(others, fdr=0.1).sum()
    assert found.own < thresholds(range(100), scores, rate=0.1, mode="fdr").own
    assert (
        found.found(1) == "4 of 54 unlabelled images are flagged. 6 more are left out: the run has learned from them."
    )


def test_the_command_makes_the_run_anew_at_that_rate():
    found = thresholds(range(240), range(100))
    words = shlex.split(found.command(24, of_run="feint tune 'a b' c --out RUN --fdr 0.1 --seed 3", out="/r/run at"))
    assert words == [
        "feint", "tune", "a b", "c", "--out", "/r/run at", "--seed", "3", "--false-alarm-rate", found.rate(24)
    ]  # fmt: skip
    assert float(found.rate(24)) == pytest.approx(24 / 241, abs=1e-3)
    assert found.command(0, of_run="feint tune a b --out RUN", out="x") is None


def test_a_refit_has_no_command_for_another_rate(finished, tmp_path):
    refitted = "feint refit runs/demo MARKS --out RUN --seed 0"
    assert thresholds(range(240), range(100)).command(24, of_run=refitted, out="x") is None
    run = feint.Run(shutil.copytree(finished.path, tmp_path / "run"))
    for command, offered in ((run.record.command, True), (refitted, False)):
        (run.path / "run.json").write_text(run.record.model_copy(update={"command": command}).model_dump_json())
        with reviewing(run.path) as found:
            assert ("Copy as a command" in found.client.get("/threshold?step=3").text) is offered
