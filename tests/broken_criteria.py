"""Criteria broken in one way each, and honest ones of every sort."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from feint.testing import criteria as checks
from feint.tuning.criteria import MassVolume, MeanDistance, ModelCentrality, TwoSampleAUROC
from feint.tuning.criteria.criterion import Criterion, SeparateCriterion


def few_subspaces():
    return MassVolume(subspaces=4, uniform=400)


@dataclass(frozen=True, kw_only=True)
class Twin(Criterion):
    """A consensus or not, of ranks or not, of an honest criterion's evidence; subclasses say what is wrong with it."""

    of: ClassVar = TwoSampleAUROC()
    name = "twin"
    needs = frozenset({"pool", "held_out"})
    ranks_only = True

    def values(self, candidates, *, seed):
        return self.of.values(candidates, seed=seed)

    def _values(self, candidates, seed):
        raise NotImplementedError


class Loss(Twin):
    """Gives a loss as it is."""

    def values(self, candidates, *, seed):
        return -super().values(candidates, seed=seed)


class Indifferent(Twin):
    """Finds all candidates equally good."""

    def values(self, candidates, *, seed):
        return 0 * super().values(candidates, seed=seed)


class AlignmentAsLoss(Twin):
    """Gives the mean-distance loss without the minus."""

    of = MeanDistance()
    needs = MeanDistance.needs
    ranks_only = False

    def values(self, candidates, *, seed):
        return -super().values(candidates, seed=seed)


class Single(Twin):
    """In single precision."""

    def values(self, candidates, *, seed):
        return super().values(candidates, seed=seed).astype(np.float32)


class Column(Twin):
    """A column in place of a vector where there are no candidates."""

    def values(self, candidates, *, seed):
        return super().values(candidates, seed=seed) if candidates else np.empty((0, 1))


class Quorum(Twin):
    """Has nothing to say of fewer than four candidates."""

    consensus = True

    def values(self, candidates, *, seed):
        return super().values(candidates, seed=seed) * (np.nan if len(candidates) < 4 else 1)


class FirstHalf(SeparateCriterion):
    """Looks at the first half of the pool only."""

    name = "first-half"
    needs = frozenset({"pool", "held_out"})
    ranks_only = True

    def _value(self, candidate, seed):
        u, h = candidate.part("pool"), candidate.part("held_out")
        return float((u[: (len(u) + 1) // 2, None] > h).mean())


class Means(SeparateCriterion):
    """Compares means, and declares itself of ranks only."""

    name = "means"
    needs = frozenset({"pool", "held_out"})
    ranks_only = True

    def _value(self, candidate, seed):
        return float(candidate.part("pool").mean() - candidate.part("held_out").mean())


class Sorting(Twin):
    """Sorts the scores where they lie."""

    def values(self, candidates, *, seed):
        for each in candidates:
            if each.pool is not None:
                each.pool.sort()
        return super().values(candidates, seed=seed)


class Jittered(Twin):
    """Breaks ties by a chance of its own."""

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        return found * (1 + 1e-12 * np.random.default_rng().random(found.shape))


class Seeding(Twin):
    """Seeds the global generator."""

    def values(self, candidates, *, seed):
        np.random.seed(seed)  # noqa: NPY002
        return super().values(candidates, seed=seed)


class Relative(Twin):
    """Subtracts the worst candidate's value."""

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        return found - np.nanmin(found) if np.isfinite(found).any() else found


class LonelyConsensus(Twin):
    """Declares a consensus, and judges a candidate alone."""

    consensus = True


class Strict(Twin):
    """Raises where too few normals were held out."""

    def values(self, candidates, *, seed):
        for each in candidates:
            if np.size(each.held_out) < 3:
                raise RuntimeError("too few held-out normals")
        return super().values(candidates, seed=seed)


class ZeroForMissing(Twin):
    """Gives 0 where a part is missing or empty."""

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        empty = [
            any(np.size(getattr(each, n)) == 0 or getattr(each, n) is None for n in self.needs) for each in candidates
        ]
        return np.where(empty, 0.0, found)


class Infinite(Twin):
    """The ratio of two spreads is infinite where one is 0."""

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        flat = [np.size(each.held_out) == 2 for each in candidates]
        return np.where(flat, np.inf, found)


class CollapseUnseen(Twin):
    """Finds collapsed embeddings perfectly aligned."""

    of = MeanDistance()
    needs = MeanDistance.needs
    ranks_only = False

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        flat = [
            all(
                np.size(z) and np.all(np.ravel(z) == np.ravel(z)[0])
                for z in (getattr(each, name) for name in self.needs)
            )
            for each in candidates
        ]
        return np.where(flat, 0.0, found)


class Cleaning(Twin):
    """Leaves out what is not finite, unless nothing remains."""

    def values(self, candidates, *, seed):
        return super().values([self.cleaned(each) for each in candidates], seed=seed)

    @staticmethod
    def cleaned(candidate):
        kept = {
            name: getattr(candidate, name)[np.isfinite(getattr(candidate, name))]
            for name in ("pool", "held_out")
            if getattr(candidate, name) is not None
        }
        return replace(candidate, again=None, **kept)


class CountingAll(Twin):
    """Divides the agreement by the number of candidates, those that cannot be judged among them."""

    of = ModelCentrality()
    needs = ModelCentrality.needs
    consensus = True

    def values(self, candidates, *, seed):
        found = super().values(candidates, seed=seed)
        return found * (np.isfinite(found).sum() - 1) / max(1, len(candidates) - 1)


class NeedsMore(Twin):
    """Needs held-out normals and does not say so."""

    needs = frozenset({"pool"})


class NeedsTheUnknown(Twin):
    """Needs what no candidate leaves behind."""

    needs = frozenset({"pool", "held_out", "labels"})


def make(twin):
    """Return the criterion of a twin."""
    return twin()


HONEST = [TwoSampleAUROC, MeanDistance, ModelCentrality, few_subspaces, Twin]
TWINS = {
    checks.higher_is_better: [Loss, Indifferent, AlignmentAsLoss],
    checks.one_finite_number_per_candidate: [Single, Column, Quorum],
    checks.image_order_does_not_matter: [FirstHalf],
    checks.increasing_transforms_do_not_matter: [Means],
    checks.inputs_untouched: [Sorting],
    checks.same_seed_same_values: [Jittered, Seeding],
    checks.judged_alone_as_together: [Relative, LonelyConsensus],
    checks.undefined_is_nan: [Strict, ZeroForMissing, Infinite, CollapseUnseen],
    checks.what_is_not_finite_is_undefined: [Cleaning],
    checks.undefined_candidates_do_not_count: [CountingAll],
    checks.needs_what_it_says: [NeedsMore, NeedsTheUnknown],
}
ALSO = {
    Quorum: {checks.undefined_candidates_do_not_count},
    Relative: {checks.undefined_candidates_do_not_count},
}
