"""What every scorer and every probe of embeddings promises.

They are fitted on toy embeddings of 9 columns, one of them constant: normal rows lie in three groups, anomalous ones
are scattered around them. A scorer gets 400 normal rows, a probe these and 60 anomalous ones with the labels of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.embeddings import EmbeddingScorer, FittedProbe, FittedScorer, Probe, Trimmed
from feint.metrics.arrays import FloatArray
from feint.metrics.roc import auroc
from feint.testing.promises import global_generators_untouched, promise

EmbeddingScorerCheck = Callable[[EmbeddingScorer], None]
ProbeCheck = Callable[[Probe], None]

FITTED = 400
CONTAMINATION = 0.15
SCORED = 200
COLUMNS = 8
SEPARATED = 0.95
LOST = 0.05
ALIKE = 0.1
TOLERANCE = 1e-6


def one_finite_score_per_row(subject: EmbeddingScorer | Probe) -> None:
    """Scores are float64, finite, and as many as rows, be it none, one or many."""
    fitted = _fitted(subject)
    for rows in (0, 1, SCORED):
        scores = fitted.score(_normal(SCORED, "scored")[:rows])
        promise(scores.shape == (rows,), f"{rows} rows got scores of shape {scores.shape}.")
        promise(scores.dtype == np.float64, f"scores are {scores.dtype}: float64 is promised.")
        promise(bool(np.isfinite(scores).all()), "a score is NaN or infinite.")


def higher_is_more_anomalous(subject: EmbeddingScorer | Probe) -> None:
    """The AUROC of planted anomalies against normal rows, neither fitted on, is above 0.95."""
    found = _separation(_fitted(subject))
    promise(found > SEPARATED, f"anomalies score above normal rows with an AUROC of {found:.3f} only.")


def scores_vary(subject: EmbeddingScorer | Probe) -> None:
    """Rows score differently: a scorer that is constant separates nothing, whatever it is said to find."""
    scores = _fitted(subject).score(np.concatenate([_normal(SCORED, "scored"), _odd(SCORED, "scored")]))
    promise(len(np.unique(scores)) > 1, "all rows got the same score.")


def scores_depend_on_neither_batch_nor_order(subject: EmbeddingScorer | Probe) -> None:
    """A row scores the same alone, among others, and in another order."""
    fitted, rows = _fitted(subject), np.concatenate([_normal(SCORED, "scored"), _odd(20, "scored")])
    scores, order = fitted.score(rows), numpy_stream(0, "order").permutation(len(rows))
    level = TOLERANCE * float(np.abs(scores).max())
    apart = np.concatenate([fitted.score(part) for part in np.split(rows, [1, 2, 9, 80])])
    promise(bool(np.allclose(apart, scores, TOLERANCE, level)), "a row scores otherwise alone than among others.")
    moved = fitted.score(rows[order])
    promise(bool(np.allclose(moved, scores[order], TOLERANCE, level)), "the scores depend on the order of the rows.")


def same_seed_same_scores(subject: EmbeddingScorer | Probe) -> None:
    """Two fits with one seed score alike, bit for bit, also where a scorer draws the rows it is fitted on."""
    subjects = [subject]
    if isinstance(subject, EmbeddingScorer):
        subjects.append(replace(subject, bank=FITTED // 2))
    for each in subjects:
        first, second = (_fitted(each).score(_normal(SCORED, "scored")) for _ in range(2))
        promise(bool(np.array_equal(first, second)), "two fits with the same seed score differently.")


def global_generators_stay_untouched(subject: EmbeddingScorer | Probe) -> None:
    """Fitting and scoring take no chance from the global generators."""
    with global_generators_untouched("fit or score"):
        fitted = _fitted(subject)
        fitted.score(_normal(SCORED, "scored"))
        if isinstance(fitted, FittedScorer):
            fitted.own_scores()


def embeddings_stay_untouched(subject: EmbeddingScorer | Probe) -> None:
    """Fitting and scoring write into no embedding."""
    fitted_on = _given(subject)
    scored, before = _normal(SCORED, "scored"), fitted_on.copy()
    fitted = _fitted(subject, fitted_on)
    fitted.score(scored)
    if isinstance(fitted, FittedScorer):
        fitted.own_scores()
    promise(bool(np.array_equal(fitted_on, before)), "fit wrote into the embeddings.")
    promise(bool(np.array_equal(scored, _normal(SCORED, "scored"))), "score wrote into the embeddings.")


def wrong_embeddings_are_refused(subject: EmbeddingScorer | Probe) -> None:
    """NaN, another shape and another number of columns are InputErrors, in fit and in score."""
    right = _given(subject)
    broken = right.copy()
    broken[3, 0] = np.nan
    fitted = _fitted(subject)
    for wrong in (broken, right[0], right[:, :, None]):
        _refused(lambda wrong=wrong: _fitted(subject, wrong), f"fit took embeddings of shape {wrong.shape}")  # type: ignore[misc]
        _refused(lambda wrong=wrong: fitted.score(wrong), f"score took embeddings of shape {wrong.shape}")  # type: ignore[misc]
    _refused(lambda: fitted.score(right[:, 1:]), "score took embeddings with a column missing")


def fitted_rows_score_like_fresh_ones(scorer: EmbeddingScorer) -> None:
    """`own_scores` of normal rows are neither lower nor higher than scores of others: none is its own neighbour."""
    fresh = _normal(FITTED, "fresh")
    for each in (scorer, replace(scorer, bank=FITTED // 2)):
        fitted = _scorer(each, _normal(FITTED, "fitted"))
        own = fitted.own_scores()
        promise(own.shape == (FITTED,), f"{FITTED} rows fitted on got own scores of shape {own.shape}.")
        found = auroc(own[fitted.bank], fitted.score(fresh))
        promise(
            abs(found - 0.5) < ALIKE,
            f"rows fitted on score unlike fresh ones (AUROC {found:.3f}): leave each out of its own neighbours.",
        )


def trimmed_it_bears_contamination(scorer: EmbeddingScorer) -> None:
    """With 15 % anomalies among the rows fitted on, `Trimmed` loses less than 0.05 of AUROC."""
    odd = round(CONTAMINATION * FITTED)
    dirty = np.concatenate([_normal(FITTED - odd, "fitted"), _odd(odd, "fitted")])
    trimmed = scorer if isinstance(scorer, Trimmed) else Trimmed(scorer=scorer)
    lost = _separation(_fitted(scorer)) - _separation(_scorer(trimmed, dirty))
    promise(lost < LOST, f"fitted with 15 % anomalies and trimmed, it loses {lost:.3f} of AUROC.")


def wrong_labels_are_refused(probe: Probe) -> None:
    """Labels other than 0 and 1, one class alone, and another number of labels are InputErrors."""
    z, labels = _given(probe), _labels()
    for name, wrong in (
        ("-1", -labels),
        ("one class", labels * 0),
        ("other class", labels * 0 + 1),
        ("few", labels[1:]),
    ):
        _refused(lambda wrong=wrong: probe.fit(z, wrong, seed=0), f"fit took wrong labels ({name})")  # type: ignore[misc]


def _normal(rows: int, name: str) -> FloatArray:
    centres = 3 * numpy_stream(0, "centres").normal(size=(3, COLUMNS))
    chance = numpy_stream(0, "normal", name)
    return _with_constant(centres[chance.integers(3, size=rows)] + chance.normal(scale=0.5, size=(rows, COLUMNS)))


def _odd(rows: int, name: str) -> FloatArray:
    odd = numpy_stream(0, "odd", name).uniform(-9, 9, size=(rows, COLUMNS))
    odd[:, 0] = 12 + odd[:, 0] / 4
    return _with_constant(odd)


def _with_constant(rows: FloatArray) -> FloatArray:
    return np.concatenate([rows, np.full((len(rows), 1), 2.0)], axis=1)


def _given(subject: EmbeddingScorer | Probe) -> FloatArray:
    normal = _normal(FITTED, "fitted")
    if isinstance(subject, EmbeddingScorer):
        return normal
    return np.concatenate([normal, _odd(round(CONTAMINATION * FITTED), "fitted")])


def _labels() -> FloatArray:
    return np.repeat([0.0, 1.0], [FITTED, round(CONTAMINATION * FITTED)])


def _fitted(subject: EmbeddingScorer | Probe, z: FloatArray | None = None) -> FittedScorer | FittedProbe:
    z = _given(subject) if z is None else z
    return _scorer(subject, z) if isinstance(subject, EmbeddingScorer) else subject.fit(z, _labels(), seed=0)


def _scorer(scorer: EmbeddingScorer, z: FloatArray) -> FittedScorer:
    return scorer.fit(z, seed=0)


def _separation(fitted: FittedScorer | FittedProbe) -> float:
    return auroc(fitted.score(_normal(SCORED, "scored")), fitted.score(_odd(SCORED, "scored")))


def _refused(doing: Callable[[], object], sentence: str) -> None:
    try:
        doing()
    except InputError:
        return
    promise(False, f"{sentence}: raise InputError.")


_CHECKS: tuple[Callable[[EmbeddingScorer | Probe], None], ...] = (
    one_finite_score_per_row,
    higher_is_more_anomalous,
    scores_vary,
    scores_depend_on_neither_batch_nor_order,
    same_seed_same_scores,
    global_generators_stay_untouched,
    embeddings_stay_untouched,
    wrong_embeddings_are_refused,
)
EMBEDDING_SCORER_CHECKS: tuple[EmbeddingScorerCheck, ...] = (
    *_CHECKS,
    fitted_rows_score_like_fresh_ones,
    trimmed_it_bears_contamination,
)
PROBE_CHECKS: tuple[ProbeCheck, ...] = (*_CHECKS, wrong_labels_are_refused)
