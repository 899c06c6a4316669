"""scikit-learn's own checks of estimators, on images: each row of numbers is painted as an image of stripes."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import feint
from feint.runs.settings import BUDGETS, Budget

SIDE = 16
BUDGET = Budget(
    sizes=(SIDE,), tiles=1, families=("cutdiff",), width=8, landscape_steps=1, points=4, steps=2, final_steps=2
)
FEW = "fewer than the 20 normal images that are needed to train and to calibrate"
SIZES = "images of any size are resized: there is no fixed number of features"
CANNOT_HOLD = {
    "check_n_features_in": SIZES,
    "check_n_features_in_after_fitting": SIZES,
    "check_estimators_empty_data_messages": "an image without pixels is refused in words of its own",
    "check_outliers_train": "wants -1 and 1, higher = more normal; these are PyOD's 1 and 0, higher = more anomalous",
    "check_methods_subset_invariance": "wants 1e-7; float32 convolutions of other batch sizes agree to about 1e-6",
    "check_classifier_data_not_an_array": FEW,
    "check_estimators_nan_inf": FEW,
    "check_fit2d_1sample": FEW,
    "check_fit2d_1feature": FEW,
}


class FeintDetectorOfRows(feint.FeintDetector):
    """The detector, where rows (n, d) are given: a row's numbers, as sines in [0, 1], repeat over its image.

    Anything but rows of numbers goes to the detector as it is.
    """

    def _images(self, X, role):
        rows = X if hasattr(X, "tocsr") else np.asarray(X)
        if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "iufcO" or not rows.size:
            return super()._images(X, role)
        repeats = -(-SIDE * SIDE // rows.shape[1])
        return super()._images(np.tile(painted(rows), repeats)[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE), role)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def painted(rows):
    number = np.complex128 if rows.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore"):
        unit = (1 + np.sin(rows.astype(number))) / 2
    return unit.astype(object) if rows.dtype.kind == "O" else unit


@pytest.fixture(autouse=True)
def tiny(small, monkeypatch):
    monkeypatch.setitem(BUDGETS, "quick", BUDGET)


@parametrize_with_checks(
    [FeintDetectorOfRows(budget="quick", single=True)],
    expected_failed_checks=lambda _: CANNOT_HOLD,
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
