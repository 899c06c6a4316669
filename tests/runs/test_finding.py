"""What is said of the unlabelled images: flags, chance, and images that stand out only together."""

import numpy as np
import pytest
from small_runs import normal_folder, picture, tune_arguments, write

import feint
from feint.calibration.conformal import p_values
from feint.runs.finding import Calibration, find
from feint.runs.model import Model
from feint.runs.splits import divide

NAMES = [f"{i}.png" for i in range(31)]
ODD = np.array([*range(29), 90.0, 91.0])


def found(scores, calibration=ODD, *, known=0, learned=0, mode="false_alarm_rate"):
    p = p_values(calibration, scores)
    p[:known] = 1.0
    model = Model(members=(), mode=mode, rate=0.05, map_scale=(0.0, 1.0))
    return find(p, model, Calibration(NAMES, calibration), known=known, learned=learned)


@pytest.mark.parametrize("mode", ["false_alarm_rate", "fdr"])
def test_together_but_not_alone(mode):
    record, (advice,) = found(np.full(54, 50.0), mode=mode)
    assert record.sentence.startswith("None of the 54 unlabelled images can be told apart alone, but together")
    assert record.flagged == 0
    assert record.together_p_value < 1e-6
    assert "With --false-alarm-rate 0.1, 54 would be flagged, of which chance explains 5." in advice.message
    assert "these score highest: 30.png, 29.png." in advice.message


def test_some_alone_but_hardly_more_than_chance_explains():
    record, (advice,) = found(np.array([*[50.0] * 50, 92.0, 92.0, 92.0]))
    assert record.flagged == 3
    assert record.any_anomaly_p_value > 0.05
    assert record.sentence == (
        "3 of 53 unlabelled images stand above the threshold, within what chance explains (about 3), "
        "but together they look less normal than the normal ones."
    )
    assert "With --false-alarm-rate 0.1, 53 would be flagged" in advice.message


def test_more_than_expected_but_not_clearly():
    """30 of 400 are more than 20, which the luck of 31 calibration images explains."""
    record, advice = found(np.array([*[99.0] * 30, *np.linspace(0, 28, 370)]), np.arange(31.0))
    assert record.any_anomaly_p_value > 0.05
    assert record.sentence == (
        "30 of 400 unlabelled images stand out, but that may be chance: if all were normal, about 20 would, and the "
        "threshold rests on 31 normal images."
    )
    assert not advice
    record, advice = found(np.array([*[99.0] * 3, *np.linspace(0, 28, 97)]))
    assert record.sentence == (
        "Nothing found: 3 of 100 unlabelled images stand above the threshold, within what chance explains (about 5)."
    )
    assert not advice


def test_one_image_is_said_of_in_the_singular():
    assert found(np.array([99.0, *np.linspace(0, 28, 99)]))[0].sentence == (
        "Nothing found: 1 of 100 unlabelled images stands above the threshold, within what chance explains (about 5)."
    )
    assert found(np.array([99.0]), np.arange(31.0), mode="fdr")[0].sentence.startswith("1 of 1 unlabelled images is ")


def test_what_was_learned_from_is_counted_apart():
    record, _ = found(np.linspace(0, 28, 60), learned=12)
    assert (record.unlabelled, record.learned_from) == (60, 12)
    assert record.sentence == (
        "Nothing more found: none of the 60 other unlabelled images stands out from the normal ones. "
        "12 more are left out: the detector has learned from them."
    )


def test_what_is_told_by_flags_needs_no_advice():
    record, advice = found(np.full(20, 99.0))
    assert record.sentence == "20 of 20 unlabelled images look anomalous; if all were normal, about 1 would."
    assert not advice


@pytest.mark.parametrize("known", [0, 10])
def test_normal_images_are_nothing(known):
    """Known normal images have p = 1, which must not hide others, nor count as evidence."""
    record, advice = found(np.linspace(0, 28, 60), known=known)
    assert record.sentence == "Nothing found: none of the 60 unlabelled images stands out from the normal ones."
    assert record.together_p_value > 0.05
    assert not advice
    hidden, _ = found(np.full(60, 50.0), known=50)
    assert hidden.together_p_value < 0.01


def test_known_normal_images_alone():
    record, advice = found(np.full(4, 99.0), known=4)
    assert (record.sentence.startswith("Nothing found: all 4"), record.together_p_value, advice) == (True, 1.0, [])


def faint(seed):
    plain, defect = (picture(seed, defect=each).astype(float) for each in (False, True))
    return (0.5 * plain + 0.5 * defect).astype(np.uint8)


def test_an_odd_image_among_the_normal_ones_is_named(command, tmp_path):
    """It stands among the calibration images, with a defect; those of the pool are fainter."""
    normal = normal_folder(tmp_path / "n")
    odd = f"{divide(list(range(110)), needed=1, seed=0)[0].calibration[0]:03d}.png"
    write(normal, {odd: picture(1037, defect=True)})
    pool = {f"{i:03d}.png": faint(2000 + i) if i % 2 else picture(2000 + i) for i in range(60)}
    unlabelled = write(tmp_path / "u", pool)
    told = command(*tune_arguments(normal, unlabelled, tmp_path / "run"))
    record = feint.Run(tmp_path / "run").record
    (advice,) = (each.message for each in record.warnings if each.code == "together")
    assert record.found.sentence in told.err
    assert advice in told.err
    assert f"score highest: {odd}" in advice
    page = (tmp_path / "run" / "report.html").read_text()
    assert record.found.sentence in page
    assert "taken together, would be a rare coincidence" in page
