"""Every scorer and every probe of embeddings keeps every promise, and every check catches a twin broken in that way."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from feint.embeddings import (
    EMBEDDING_SCORERS,
    KNN,
    PROBES,
    EmbeddingScorer,
    LinearProbe,
    NearestProbe,
    Probe,
    Trimmed,
)
from feint.embeddings.probe import Learned
from feint.embeddings.scorer import Outlyingness
from feint.testing import embeddings as checks

NEIGHBOURS = 5


def named(entry):
    return entry.__name__


QUICK = {"isolation-forest": {"trees": 20}}
SUBJECTS = {name: recipe(**QUICK.get(name, {})) for name, recipe in EMBEDDING_SCORERS.items()} | {
    "knn-euclidean": KNN(metric="euclidean"),
    "trimmed-knn": Trimmed(scorer=KNN()),
}
PROBE_SUBJECTS = {name: recipe() for name, recipe in PROBES.items()} | {
    "linear-balanced": LinearProbe(class_weight="balanced"),
    "nearest-200": NearestProbe(k=200),
}


@pytest.mark.parametrize("check", checks.EMBEDDING_SCORER_CHECKS, ids=named)
@pytest.mark.parametrize("scorer", SUBJECTS.values(), ids=SUBJECTS)
def test_embedding_scorer(scorer, check):
    check(scorer)


@pytest.mark.parametrize("check", checks.PROBE_CHECKS, ids=named)
@pytest.mark.parametrize("probe", PROBE_SUBJECTS.values(), ids=PROBE_SUBJECTS)
def test_probe(probe, check):
    check(probe)


def near(rows, z):
    return np.sort(cdist(rows, z), axis=1)


@dataclass(frozen=True, kw_only=True)
class Neighbours(EmbeddingScorer):
    """Honest: the mean distance to the five nearest rows."""

    def _fit(self, z, seed):
        return Outlyingness(
            of=lambda rows: self.change(near(rows, z)[:, :NEIGHBOURS].mean(1)),
            own=lambda: self.change(near(z, z)[:, 1 : NEIGHBOURS + 1].mean(1)),
        )

    def change(self, scores):
        return scores


class LosingWhatIsAlone(Neighbours):
    def change(self, scores):
        return scores * np.nan if len(scores) == 1 else scores


class Reversed(Neighbours):
    def change(self, scores):
        return -scores


class Constant(Neighbours):
    def change(self, scores):
        return np.ones(len(scores))


class AgainstItsBatch(Neighbours):
    def change(self, scores):
        return scores + 1e-3 * scores.mean() if len(scores) else scores


class Unseeded(Neighbours):
    def _fit(self, z, seed):
        scale = 1 + np.random.default_rng().random()
        return Outlyingness(of=lambda rows: scale * near(rows, z).mean(1), own=lambda: scale * near(z, z).mean(1))


class OfGlobalChance(Neighbours):
    def _fit(self, z, seed):
        np.random.random()  # noqa: NPY002
        return super()._fit(z, seed)


class Overwriting(Neighbours):
    def fit(self, z, *, seed):
        fitted = super().fit(z, seed=seed)
        z[0] = 1.0
        return fitted


class Unchecked(Neighbours):
    def fit(self, z, *, seed):
        return super().fit(np.nan_to_num(z), seed=seed)


class ItsOwnNeighbour(Neighbours):
    def _fit(self, z, seed):
        return Outlyingness(of=super()._fit(z, seed).of)


class Fragile(Neighbours):
    """How far outside the smallest box of what was fitted on; inside, what is farther out scores lower."""

    def _fit(self, z, seed):
        low, high, centre = z.min(0), z.max(0), z.mean(0)
        return Outlyingness(
            of=lambda x: (
                (np.maximum(low - x, 0) + np.maximum(x - high, 0)).sum(1) - 1e-3 * np.linalg.norm(x - centre, axis=1)
            )
        )


SCORER_TWINS = {
    checks.one_finite_score_per_row: [LosingWhatIsAlone],
    checks.higher_is_more_anomalous: [Reversed],
    checks.scores_vary: [Constant],
    checks.scores_depend_on_neither_batch_nor_order: [AgainstItsBatch],
    checks.same_seed_same_scores: [Unseeded],
    checks.global_generators_stay_untouched: [OfGlobalChance],
    checks.embeddings_stay_untouched: [Overwriting],
    checks.wrong_embeddings_are_refused: [Unchecked],
    checks.fitted_rows_score_like_fresh_ones: [ItsOwnNeighbour],
    checks.trimmed_it_bears_contamination: [Fragile],
}


@dataclass(frozen=True, kw_only=True)
class NearerClass(Probe):
    """Honest: how much nearer the nearest anomalous row is than the nearest normal one."""

    def _fit(self, z, anomalous, seed):
        def logits(rows):
            return self.change(near(rows, z[~anomalous])[:, 0] - near(rows, z[anomalous])[:, 0])

        return Learned(logits=logits, prevalence=float(anomalous.mean()))

    def change(self, logits):
        return logits


class ProbeLosingWhatIsAlone(NearerClass):
    change = LosingWhatIsAlone.change


class ReversedProbe(NearerClass):
    change = Reversed.change


class ConstantProbe(NearerClass):
    change = Constant.change


class ProbeAgainstItsBatch(NearerClass):
    change = AgainstItsBatch.change


class UnseededProbe(NearerClass):
    def _fit(self, z, anomalous, seed):
        scale, learned = 1 + np.random.default_rng().random(), super()._fit(z, anomalous, seed)
        return Learned(logits=lambda rows: scale * learned.logits(rows), prevalence=learned.prevalence)


class ProbeOfGlobalChance(NearerClass):
    def _fit(self, z, anomalous, seed):
        np.random.random()  # noqa: NPY002
        return super()._fit(z, anomalous, seed)


class OverwritingProbe(NearerClass):
    def fit(self, z, labels, *, seed):
        fitted = super().fit(z, labels, seed=seed)
        z[0] = 1.0
        return fitted


class UncheckedProbe(NearerClass):
    def fit(self, z, labels, *, seed):
        return super().fit(np.nan_to_num(z), labels, seed=seed)


class AnyLabels(NearerClass):
    def fit(self, z, labels, *, seed):
        return super().fit(z, np.abs(labels), seed=seed)


PROBE_TWINS = {
    checks.one_finite_score_per_row: [ProbeLosingWhatIsAlone],
    checks.higher_is_more_anomalous: [ReversedProbe],
    checks.scores_vary: [ConstantProbe],
    checks.scores_depend_on_neither_batch_nor_order: [ProbeAgainstItsBatch],
    checks.same_seed_same_scores: [UnseededProbe],
    checks.global_generators_stay_untouched: [ProbeOfGlobalChance],
    checks.embeddings_stay_untouched: [OverwritingProbe],
    checks.wrong_embeddings_are_refused: [UncheckedProbe],
    checks.wrong_labels_are_refused: [AnyLabels],
}
ALSO = {
    Constant: {checks.higher_is_more_anomalous},
    ConstantProbe: {checks.higher_is_more_anomalous},
    LosingWhatIsAlone: {checks.scores_depend_on_neither_batch_nor_order},
    ProbeLosingWhatIsAlone: {checks.scores_depend_on_neither_batch_nor_order},
}


def cases():
    for all_checks, honest, twins in (
        (checks.EMBEDDING_SCORER_CHECKS, Neighbours, SCORER_TWINS),
        (checks.PROBE_CHECKS, NearerClass, PROBE_TWINS),
    ):
        yield pytest.param(all_checks, honest, set(), id=f"honest-{honest.__name__}")
        for check, broken in twins.items():
            for twin in broken:
                yield pytest.param(
                    all_checks, twin, {check} | ALSO.get(twin, set()), id=f"{check.__name__}-{twin.__name__}"
                )


def is_kept(check, subject):
    try:
        check(subject)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(("all_checks", "twin", "broken"), list(cases()))
def test_exactly_the_broken_promises_are_caught(all_checks, twin, broken):
    caught = {check.__name__ for check in all_checks if not is_kept(check, twin())}
    assert caught == {check.__name__ for check in broken}


def test_every_check_has_a_broken_twin():
    assert set(SCORER_TWINS) == set(checks.EMBEDDING_SCORER_CHECKS)
    assert set(PROBE_TWINS) == set(checks.PROBE_CHECKS)
