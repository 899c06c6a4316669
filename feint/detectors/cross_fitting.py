"""Cross-fitting: what learned from the unlabelled images scores only those of them that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import torch
from torch import Tensor

from feint.core.detector import PoolDetector, Scorer, score_images
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.streams import seed_of, stream

S = TypeVar("S", bound=Scorer)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CrossFitted(Generic[S]):
    """One scorer per fold, and the scores of images that the scorer of their fold was fitted without.

    Args:
        scorers: scorer k was fitted without pool fold k, and without any held-out normal.
        pool_fold, held_out_fold: the fold of each pool image (n,) and of each held-out normal (m,), from 0.
        pool, held_out: their scores (n,) and (m,), higher = more anomalous, by the scorer of their fold.
    """

    scorers: tuple[S, ...]
    pool_fold: Tensor
    held_out_fold: Tensor
    pool: Tensor
    held_out: Tensor


def cross_fitted(
    recipe: PoolDetector[S],
    normals: Tensor,
    unlabelled: Tensor,
    held_out: Tensor,
    *,
    folds: int,
    seed: int,
    groups: Sequence[int] | None = None,
) -> CrossFitted[S]:
    """Return `recipe` fitted once per fold, and scores of pool and held-out normals that can be compared.

        s(x) = (f_k(x) - median_k) / (q75_k - q25_k),   x in fold k, f_k fitted without pool fold k

    with the median and the quartiles of f_k over all held-out normals, so that folds are comparable. Where the pool's
    normals are exchangeable with the held-out ones, so are their scores, fold by fold: two-sample criteria and
    conformal p-values mean what they say. On its own training images a classifier looks better than chance on a pool
    with no anomaly at all.

    Args:
        normals, unlabelled, held_out: images (k, c, h, w), (n, c, h, w) and (m, c, h, w), uint8; `held_out` normals
            are never fitted on.
        folds: parts of the pool, at least 2. seed: of the folds and of every fit.
        groups: a number for each pool image (n,); those with the same number, such as copies, stay in one fold.

    Raises: SettingError for fewer than 2 folds; InputError where there are fewer groups or held-out normals than folds,
    or `groups` has another length than the pool; CollapseError where a scorer gives all held-out normals one score.
    Fails when: a held-out normal is also in the pool: the scorer of its fold may have seen it there.
    Cost: `folds` fits on a share 1 - 1/folds of the pool, and as many scores of the held-out normals.
    References: Chernozhukov et al. (2018), Econometrics Journal 21, cross-fitting.
    Deviations: standardised per fold; each held-out normal is read off one fold, not averaged over all, since an
    average would vary less than the score of a pool image.
    """
    pool_fold, held_out_fold = _folds(unlabelled, held_out, folds=folds, seed=seed, groups=groups)
    scorers: list[S] = []
    pool, held = torch.zeros(len(unlabelled)), torch.zeros(len(held_out))
    for k in range(folds):
        scorer = recipe.fit(normals, unlabelled[pool_fold != k], seed=seed_of(seed, "fold", k))
        reference = score_images(scorer, held_out)
        centre, spread = _centre_and_spread(reference)
        pool[pool_fold == k] = (score_images(scorer, unlabelled[pool_fold == k]) - centre) / spread
        held[held_out_fold == k] = (reference[held_out_fold == k] - centre) / spread
        scorers.append(scorer)
    return CrossFitted(
        scorers=tuple(scorers), pool_fold=pool_fold, held_out_fold=held_out_fold, pool=pool, held_out=held
    )


def _folds(
    unlabelled: Tensor, held_out: Tensor, *, folds: int, seed: int, groups: Sequence[int] | None
) -> tuple[Tensor, Tensor]:
    """Return the fold of each pool image (n,) and of each held-out normal (m,), of nearly the same size."""
    if folds < 2:
        raise SettingError(f"cross-fitting needs at least 2 folds: got {folds}.")
    if groups is not None and len(groups) != len(unlabelled):
        raise InputError(f"give a group for each of {len(unlabelled)} unlabelled images: got {len(groups)}.")
    of_image = range(len(unlabelled)) if groups is None else groups
    for count, what in ((len(set(of_image)), "different unlabelled images"), (len(held_out), "held-out normal images")):
        if count < folds:
            raise InputError(f"{folds} folds need at least as many {what}: got {count}. Give more, or fewer folds.")
    order = torch.randperm(len(held_out), generator=stream(seed, "held-out folds"))
    return pool_folds(of_image, folds=folds, seed=seed), order % folds


def pool_folds(groups: Sequence[int], *, folds: int, seed: int) -> Tensor:
    """Return the fold, from 0, of each pool image (n,), of nearly the same size; those of one group stay together."""
    _, group, sizes = torch.unique(torch.tensor(groups), return_inverse=True, return_counts=True)
    fold_of_group, filled = torch.zeros(len(sizes), dtype=torch.long), torch.zeros(folds, dtype=torch.long)
    for each in torch.randperm(len(sizes), generator=stream(seed, "pool folds")):
        emptiest = filled.argmin()
        fold_of_group[each] = emptiest
        filled[emptiest] += sizes[each]
    return fold_of_group[group]


def _centre_and_spread(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return median and quartile distance of scores (m,); the standard deviation where more than half are the same."""
    low, centre, high = torch.quantile(scores, torch.tensor([0.25, 0.5, 0.75]))
    spread = high - low if high > low else scores.std()
    if not spread > 0:
        raise CollapseError(f"the {len(scores)} held-out normal scores are all {float(centre):g}: nothing was learned.")
    return centre, spread
