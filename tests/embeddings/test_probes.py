"""Probes of embeddings against independent computations of their formulas."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from feint.core.errors import InputError, SettingError
from feint.core.streams import seed_of
from feint.embeddings import PER_CLASS, Draws, FewLabels, LinearProbe, NearestProbe
from feint.metrics.decisions import corrected_logits, f1
from feint.metrics.roc import auroc


def labelled(n, share=0.3, d=5, seed=0, apart=1.5):
    """Return rows (n, d) and labels (n,); anomalous ones are moved along the first two columns."""
    chance = np.random.default_rng(seed)
    labels = (np.arange(n) < share * n).astype(int)
    return chance.normal(size=(n, d)) + apart * labels[:, None] * (np.arange(d) < 2), labels


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_linear_probe_minimises_the_penalised_loss(class_weight):
    z, labels = labelled(200)
    x, signs, c = StandardScaler().fit_transform(z), np.where(labels == 1, 1, -1), 0.1
    a = np.ones(200) if class_weight is None else 100 / np.bincount(labels)[labels]

    def loss(w):
        return c * a @ np.logaddexp(0, -signs * (x @ w[:-1] + w[-1])) + w[:-1] @ w[:-1] / 2

    w = minimize(loss, np.zeros(6), tol=1e-12).x
    fitted = LinearProbe(class_weight=class_weight, grid=(c,)).fit(z, labels, seed=0)
    assert fitted.score(z) == pytest.approx(x @ w[:-1] + w[-1], abs=2e-3)
    assert fitted.prevalence == pytest.approx(0.3 if class_weight is None else 0.5)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("apart", [0.0, 0.3, 1.5])
def test_c_is_chosen_as_by_cross_validation_of_scikit_learn(apart):
    z, labels = labelled(150, d=30, apart=apart)
    x = StandardScaler().fit_transform(z)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed_of(0, "folds") % 2**32)
    theirs = LogisticRegressionCV(Cs=list(LinearProbe().grid), cv=folds, scoring="neg_log_loss", max_iter=1000).fit(
        x, labels
    )
    assert LinearProbe().fit(z, labels, seed=0).score(z) == pytest.approx(theirs.decision_function(x), abs=5e-2)


def test_a_useless_embedding_gets_the_strongest_penalty():
    z, labels = labelled(200, d=100, apart=0)
    logits = LinearProbe().fit(z, labels, seed=0).score(z)
    assert logits == pytest.approx(LinearProbe(grid=(1e-3,)).fit(z, labels, seed=0).score(z))
    assert np.ptp(logits) < 1


def test_the_corrected_cut_of_a_probe_of_rare_anomalies_holds_on_a_balanced_test_set():
    z, labels = labelled(4000, share=0.01)
    test, truth = labelled(1000, share=0.5, seed=1)
    fitted = LinearProbe().fit(z, labels, seed=0)
    logits = fitted.score(test)
    corrected = corrected_logits(logits, learned=fitted.prevalence, met=0.5)
    assert f1(truth, logits) < 0.4
    assert f1(truth, corrected) > 0.8


@pytest.mark.parametrize("k", [1, 5, 20, 200])
def test_nearest_probe_is_the_vote_of_its_neighbours(k):
    z, labels = labelled(220)
    test, _ = labelled(30, seed=1)
    cosines = (test / np.linalg.norm(test, axis=1)[:, None]) @ (z / np.linalg.norm(z, axis=1)[:, None]).T
    wanted = []
    for row in cosines:
        chosen = np.argsort(-row)[:k]
        votes = np.exp(row[chosen] / 0.07)
        wanted.append(votes @ labels[chosen] / votes.sum())
    logits = NearestProbe(k=k).fit(z, labels, seed=0).score(test)
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(np.array(wanted), abs=2e-6)
    assert np.isfinite(logits).all()


def test_few_labels_get_better_with_their_number_and_are_drawn_anew():
    z, labels = labelled(400)
    test, truth = labelled(400, share=0.5, seed=1)
    probe = LinearProbe(grid=(1.0,))
    draws = {n: FewLabels(per_class=n, probe=probe).aurocs(z, labels, test, truth, seed=0) for n in PER_CLASS}
    assert draws[5].mean < draws[20].mean < draws[50].mean
    assert draws[50].sd < draws[5].sd
    assert len(set(draws[5].aurocs)) == 10
    assert FewLabels(per_class=5, probe=probe).aurocs(z, labels, test, truth, seed=0) == draws[5]
    assert FewLabels(per_class=5, probe=probe).aurocs(z, labels, test, truth, seed=1) != draws[5]


def test_few_labels_are_as_many_of_each_class():
    z, labels = np.arange(40.0)[:, None], (np.arange(40) < 10).astype(int)
    probe = FewLabels(per_class=10, draws=3, probe=NearestProbe(k=20))
    seen = probe.logits(z + 1, labels, z + 1, seed=0)
    assert seen.shape == (3, 40)
    assert seen == pytest.approx(0)


def test_mean_and_sd_of_draws():
    draws = Draws(aurocs=(0.5, 0.7, 0.9))
    assert (draws.mean, draws.sd) == pytest.approx((0.7, 0.2))
    assert np.isnan(Draws(aurocs=(0.5,)).sd)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0, 1, 2, -1, 0, 1], r"must be 0 \(normal\) or 1 \(anomalous\): got \[-1, 2\]"),
        ([1] * 6, "both classes: got 6 that are all 1"),
        ([0] * 6, "both classes: got 6 that are all 0"),
        ([0, 1], "embeddings and labels must belong to the same images: got 6 and 2"),
        ([1, 0, 0, 0, 0, 0], "one embedding alone in a class"),
    ],
)
def test_wrong_labels_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        LinearProbe().fit(labelled(6)[0], wrong, seed=0)


def test_too_few_rows_are_named():
    z, labels = labelled(30)
    with pytest.raises(InputError, match="at least 200 labelled embeddings: got 30"):
        NearestProbe(k=200).fit(z, labels, seed=0)
    with pytest.raises(InputError, match="needs 20 labelled embeddings of each class: got 9"):
        FewLabels(per_class=20).logits(z, labels, z, seed=0)


def test_one_anomalous_row_is_enough_where_nothing_is_chosen():
    z, labels = labelled(40, share=0.025, apart=9)
    logits = LinearProbe(grid=(1.0,)).fit(z, labels, seed=0).score(z)
    assert auroc(logits[labels == 0], logits[labels == 1]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LinearProbe(class_weight="even"),
        lambda: LinearProbe(grid=()),
        lambda: LinearProbe(grid=(0.0, 1.0)),
        lambda: LinearProbe(folds=1),
        lambda: NearestProbe(k=0),
        lambda: NearestProbe(temperature=0.0),
        lambda: FewLabels(per_class=0),
        lambda: FewLabels(draws=0),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SettingError, match="must"):
        wrong()
