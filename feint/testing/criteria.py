"""What every label-free criterion promises, on candidates of which it is known who is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest import SkipTest

import numpy as np

from feint.core.streams import numpy_stream
from feint.metrics.arrays import FloatArray
from feint.testing.promises import global_generators_untouched, promise
from feint.tuning.criteria import PARTS, Criterion, Evidence, Part

HELD_OUT, POOL, PSEUDO, SHARE, FEATURES = 120, 200, 60, 0.25, 6

CriterionCheck = Callable[[Criterion], None]


def higher_is_better(criterion: Criterion) -> None:
    """Candidates that see the anomalies stand above one that sees nothing.

    A criterion that needs embeddings of pseudo-anomalies has to prefer pseudo-anomalies that lie where the anomalies
    are to those that lie elsewhere, all else equal.
    """
    candidates = [*seeing(), misaligned() if "pseudo_embeddings" in criterion.needs else blind()]
    values = criterion.values(candidates, seed=0)
    promise(
        bool((values[:-1] > values[-1]).all()),
        f"good candidates got {_told(values[:-1])}, a bad one {values[-1]:.4g}: higher must be better. Negate losses.",
    )


def one_finite_number_per_candidate(criterion: Criterion) -> None:
    """The result is float64 of shape (C,), finite for candidates without fault, also where there are none."""
    for candidates in (seeing(), []):
        values = criterion.values(candidates, seed=0)
        promise(
            isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == (len(candidates),),
            f"{len(candidates)} candidates must get a float64 array of as many numbers: got {values!r}.",
        )
        promise(bool(np.isfinite(values).all()), f"candidates without fault must get finite numbers: got {values}.")


def image_order_does_not_matter(criterion: Criterion) -> None:
    """The values stay when the images of each set are shuffled, those of the pool alike for all candidates."""
    candidates = seeing()
    shuffled = [replace(each, **_shuffled(each)) for each in candidates]
    _equal(criterion, candidates, shuffled, "the order of the images changed the values")


def increasing_transforms_do_not_matter(criterion: Criterion) -> None:
    """A criterion of ranks only stays when each candidate's scores go through an increasing function of their own."""
    if not criterion.ranks_only:
        raise SkipTest(f"{criterion.name} is not of ranks only.")
    candidates = seeing()
    bent = [
        replace(each, **{name: np.exp(each.part(name) / (1 + i)) for name in _SCORES})
        for i, each in enumerate(candidates)
    ]
    _equal(criterion, candidates, bent, "it declares ranks_only, but an increasing transform changed the values")


def inputs_untouched(criterion: Criterion) -> None:
    """No array of the evidence is written into."""
    candidates = seeing()
    before = [{name: each.part(name).copy() for name in PARTS} for each in candidates]
    criterion.values(candidates, seed=0)
    changed = {
        name
        for each, old in zip(candidates, before, strict=True)
        for name in PARTS
        if (each.part(name) != old[name]).any()
    }
    promise(not changed, f"the evidence was written into: {', '.join(sorted(changed))}.")


def same_seed_same_values(criterion: Criterion) -> None:
    """The same seed gives the same values, bit for bit, and the global generators stay untouched."""
    candidates = seeing()
    with global_generators_untouched("values"):
        first, second = (criterion.values(candidates, seed=1) for _ in range(2))
    promise(
        bool(np.array_equal(first, second, equal_nan=True)),
        f"the same seed gave {_told(first)} and then {_told(second)}.",
    )


def judged_alone_as_together(criterion: Criterion) -> None:
    """A candidate's value does not depend on the others; by a consensus, a candidate alone cannot be judged."""
    candidates = seeing()
    alone = np.concatenate([criterion.values([each], seed=0) for each in candidates])
    if criterion.consensus:
        promise(bool(np.isnan(alone).all()), f"a consensus has nothing to say of one candidate: got {_told(alone)}.")
        return
    together = criterion.values(candidates, seed=0)
    promise(
        bool(np.allclose(alone, together, rtol=1e-9, equal_nan=True)),
        f"alone the candidates got {_told(alone)}, together {_told(together)}: declare `consensus` if that is meant.",
    )


def undefined_is_nan(criterion: Criterion) -> None:
    """What is missing, empty, constant or too little gives NaN or a finite value, never infinity or an exception.

    A part that is missing or empty, and embeddings that collapsed, must give NaN.
    """
    good = seeing()[0]
    needed = [name for name in PARTS if name in criterion.needs]
    for name in needed:
        for gone in (None, good.part(name)[:0]):
            values = criterion.values([replace(good, **{name: gone}), *seeing()], seed=0)
            promise(bool(np.isnan(values[0])), f"without {name} the value must be NaN: got {values[0]:g}.")
    collapsed = criterion.values([_each(good, lambda x: np.full_like(x, 0.7)), *seeing()], seed=0)
    if any(name.endswith("_embeddings") for name in needed):
        promise(bool(np.isnan(collapsed[0])), f"collapsed embeddings must give NaN: got {collapsed[0]:g}.")
    odd = [
        _each(good, lambda x: 1e200 * x),
        _each(good, lambda x: 1e-200 * x),
        replace(good, held_out=good.part("held_out")[:2], pseudo=good.part("pseudo")[:1]),
        replace(good, **{name: good.part(name)[:1] for name in PARTS if name.endswith("_embeddings")}),
    ]
    for each in odd:
        values = np.concatenate([collapsed, criterion.values([each, *seeing()], seed=0)])
        promise(not np.isinf(values).any(), f"an undefined value must be NaN: got {_told(values)}.")


def what_is_not_finite_is_undefined(criterion: Criterion) -> None:
    """One NaN or infinite number in a needed part makes a candidate's value NaN."""
    good = seeing()[0]
    for name in (name for name in PARTS if name in criterion.needs):
        for wrong in (np.nan, np.inf):
            array = good.part(name).copy()
            array.flat[1] = wrong
            values = criterion.values([replace(good, **{name: array}), *seeing()], seed=0)
            promise(bool(np.isnan(values[0])), f"{wrong} among {name} must give NaN: got {values[0]:g}.")


def undefined_candidates_do_not_count(criterion: Criterion) -> None:
    """Beside candidates that cannot be judged, the others get the values they get without them."""
    good = seeing()
    broken = _each(good[0], lambda x: np.full_like(x, np.nan))
    constant = _each(good[0], np.ones_like)
    among = criterion.values([broken, good[0], constant, *good[1:]], seed=0)
    values, wanted = among[[1, 3, 4]], criterion.values(good, seed=0)
    promise(
        bool(np.allclose(values, wanted, rtol=1e-9, equal_nan=True)),
        f"beside two candidates that cannot be judged, the others got {_told(values)} in place of {_told(wanted)}.",
    )


def needs_what_it_says(criterion: Criterion) -> None:
    """All parts named in `needs` exist, and the values stay when every other part is taken away."""
    unknown = criterion.needs - set(PARTS)
    promise(
        not unknown and bool(criterion.needs), f"needs must name parts of the evidence: got {set(criterion.needs)}."
    )
    bare = [replace(each, **dict.fromkeys(set(PARTS) - criterion.needs)) for each in seeing()]
    _equal(criterion, seeing(), bare, f"without what it does not need (it needs {set(criterion.needs)}) values change")


CRITERION_CHECKS: tuple[CriterionCheck, ...] = (
    higher_is_better,
    one_finite_number_per_candidate,
    image_order_does_not_matter,
    increasing_transforms_do_not_matter,
    inputs_untouched,
    same_seed_same_values,
    judged_alone_as_together,
    undefined_is_nan,
    what_is_not_finite_is_undefined,
    undefined_candidates_do_not_count,
    needs_what_it_says,
)


def seeing() -> list[Evidence]:
    """Return three candidates that see the anomalies, a quarter of the pool, all in nearly the same way."""
    return [_candidate(f"seeing {i}", shift=4.0, noise=0.4, place=0) for i in range(3)]


def blind() -> Evidence:
    """Return a candidate whose scores are noise, and whose embeddings fill their box evenly."""
    candidate = _candidate("blind", shift=0.0, noise=1.0, place=1)
    chance = numpy_stream(0, "testing", "criteria", "box")
    box = {name: chance.uniform(-4, 4, (size, FEATURES)) for name, size in _SIZES.items()}
    return replace(candidate, **box)


def misaligned() -> Evidence:
    """Return a candidate that sees the anomalies, with pseudo-anomalies embedded elsewhere."""
    return _candidate("seeing 0", shift=4.0, noise=0.4, place=1)


_SCORES: tuple[Part, ...] = ("held_out", "pool", "pseudo", "again")
_SIZES = {"normal_embeddings": HELD_OUT, "pseudo_embeddings": HELD_OUT // 3, "pool_embeddings": POOL}


def _candidate(name: str, *, shift: float, noise: float, place: int) -> Evidence:
    """Return a candidate whose pseudo-anomalies are embedded in the direction `place`; the anomalies in direction 0."""
    images, chance = numpy_stream(0, "testing", "criteria"), numpy_stream(0, "testing", "criteria", name)
    anomalous = np.arange(POOL) < SHARE * POOL
    true = images.normal(size=POOL) + 4 * anomalous
    seen = true if shift else np.zeros(POOL)
    embeddings = {kind: chance.normal(size=(size, FEATURES)) for kind, size in _SIZES.items()}
    embeddings["pool_embeddings"][anomalous, 0] += 4
    embeddings["pseudo_embeddings"][:, place] += 4
    return Evidence(
        held_out=chance.normal(size=HELD_OUT) if shift else noise * chance.normal(size=HELD_OUT),
        pool=seen + noise * chance.normal(size=POOL),
        pseudo=chance.normal(size=PSEUDO) + shift if shift else noise * chance.normal(size=PSEUDO),
        again=seen + noise * chance.normal(size=(3, POOL)),
        **embeddings,
    )


def _each(candidate: Evidence, change: Callable[[FloatArray], FloatArray]) -> Evidence:
    return replace(candidate, **{name: change(candidate.part(name)) for name in PARTS})


def _shuffled(candidate: Evidence) -> dict[Part, FloatArray]:
    chance = numpy_stream(0, "testing", "criteria", "order")
    orders = {name: chance.permutation(len(candidate.part(name))) for name in PARTS}
    orders["pool_embeddings"] = orders["pool"]
    changed = {name: candidate.part(name)[orders[name]] for name in PARTS}
    return changed | {"again": candidate.part("again")[:, orders["pool"]]}


def _equal(criterion: Criterion, first: list[Evidence], second: list[Evidence], otherwise: str) -> None:
    before, after = criterion.values(first, seed=0), criterion.values(second, seed=0)
    promise(
        bool(np.allclose(before, after, rtol=1e-7, equal_nan=True)), f"{otherwise}: {_told(before)} to {_told(after)}."
    )


def _told(values: FloatArray) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
