"""`FeintDetector` beside a detector of PyOD: code written for the one works with the other."""

import numpy as np
import pytest
import small_runs
import torch

import feint
from feint.runs.settings import BUDGETS

pytest.importorskip("pyod")
NORMAL = small_runs.pictures(range(110))
NEW = small_runs.pictures(range(1000, 1020), defects=8)


def rows(images):
    return images.reshape(len(images), -1) / 255


@pytest.fixture(scope="module")
def detectors():
    from pyod.models.knn import KNN

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FEINT_CORES", "1")
        monkeypatch.setitem(BUDGETS, "quick", small_runs.BUDGET)
        yield [
            (KNN().fit(rows(NORMAL)), rows(NORMAL), rows(NEW)),
            (feint.FeintDetector(budget="quick").fit(NORMAL), NORMAL, NEW),
        ]
    torch.set_num_threads(threads)


def test_attributes_and_answers_have_the_same_shapes_kinds_and_directions(detectors):
    from pyod.utils.utility import check_detector

    for detector, normal, new in detectors:
        check_detector(detector)
        assert detector.decision_scores_.shape == detector.labels_.shape == (len(normal),)
        assert detector.decision_scores_.dtype.kind == "f"
        assert set(detector.labels_) <= {0, 1}
        scores, labels, proba = detector.decision_function(new), detector.predict(new), detector.predict_proba(new)
        assert (labels == (scores > detector.threshold_)).all()
        assert scores[:8].mean() > scores[8:].mean()
        assert proba.shape == (len(new), 2)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        assert proba[:8, 1].mean() > proba[8:, 1].mean()


def test_scores_of_both_are_standardised_by_pyod_and_averaged(detectors):
    from pyod.utils.utility import precision_n_scores, standardizer

    known = np.column_stack([detector.decision_scores_ for detector, _, _ in detectors])
    found = np.column_stack([detector.decision_function(new) for detector, _, new in detectors])
    _, found = standardizer(known, found)
    assert precision_n_scores(np.arange(20) < 8, found.mean(axis=1)) > 0.8
