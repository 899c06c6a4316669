"""What choosing by a label-free criterion costs: the AUROC of the best candidate minus that of the chosen one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError, SettingError
from feint.metrics.arrays import FloatArray
from feint.stats.clusters import task_matrix


def top_one_regret(auroc: ArrayLike, criterion: ArrayLike) -> FloatArray:
    """Return for each task the regret of the candidate with the highest criterion, (T,), in AUROC, 0 at best.

    R(m) = max_j y_j - y_{argmax m}; candidates that tie count with their mean. A candidate with no finite criterion
    is never chosen; where none is finite, the regret is NaN: the criterion cannot choose.

    Args:
        auroc: y, one per candidate and task, (A, T).
        criterion: m, one per candidate and task, (A, T), higher = claimed to be better. The direction is fixed in
            advance, never chosen from the data.

    Raises:
        InputError: shapes that differ, or an AUROC that is not finite.

    Cost: O(A T).

    Example:
        >>> y, m = [[0.60], [0.70], [0.80], [0.75]], [[1], [3], [2], [4]]
        >>> round(float(top_one_regret(y, m)[0]), 4), round(float(random_regret(y)[0]), 4)
        (0.05, 0.0875)
    """
    y, m = task_matrix(auroc), _criterion(criterion, auroc)
    able = np.isfinite(m)
    highest = np.where(able, m, -np.inf).max(axis=0)
    chosen = able & (m == highest)
    count = chosen.sum(axis=0)
    lost = ((y.max(axis=0) - y) * chosen).sum(axis=0)
    regret: FloatArray = np.divide(lost, count, out=np.full(y.shape[1], np.nan), where=count > 0)
    return regret


def random_regret(auroc: ArrayLike) -> FloatArray:
    """Return for each task the expected regret of a random pick, (T,): max_j y_j - mean_j y_j.

    Args:
        auroc: y, one per candidate and task, (A, T).

    Raises:
        InputError: not two-dimensional, empty, or not finite.
    """
    y = task_matrix(auroc)
    regret: FloatArray = y.max(axis=0) - y.mean(axis=0)
    return regret


def best_elsewhere_regret(auroc: ArrayLike, sets: Sequence[Hashable]) -> FloatArray:
    """Return for each task the regret of always taking the candidate with the best mean AUROC on the other sets, (T,).

    Args:
        auroc: one per candidate and task, (A, T).
        sets: the set of each task, (T,), at least two different ones.

    Raises:
        InputError: shapes that do not agree, or not finite.
        SettingError: one set only.
    """
    y = task_matrix(auroc)
    regret = np.empty(y.shape[1])
    for held_out in _held_out(sets, y.shape[1]):
        best = y[:, ~held_out].mean(axis=1).argmax()
        regret[held_out] = y[:, held_out].max(axis=0) - y[best, held_out]
    return regret


def mean_rank(criteria: Sequence[ArrayLike]) -> FloatArray:
    """Return the mean over criteria of each candidate's rank within its task, (A, T), higher = better.

    Ties share the mean of their ranks; NaN where a criterion has no finite value.

    Args:
        criteria: each one per candidate and task, (A, T), higher = claimed to be better.

    Raises:
        InputError: no criteria, or shapes that differ.

    Example:
        >>> mean_rank([[[1.0], [2.0], [3.0]], [[5.0], [9.0], [7.0]]])[:, 0].tolist()
        [1.0, 2.5, 2.5]
    """
    from scipy.stats import rankdata

    if not criteria:
        raise InputError("a combination needs at least one criterion: got none.")
    first = np.asarray(criteria[0], dtype=np.float64)
    values = [_criterion(each, first) for each in criteria]
    ranks = [np.asarray(rankdata(np.where(np.isfinite(m), m, np.nan), axis=0, nan_policy="omit")) for m in values]
    mean: FloatArray = np.mean(ranks, axis=0, dtype=np.float64)
    return mean


@final
@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The regret (T,) of the criterion that was best on the other sets, and its name by set that was left out."""

    regret: FloatArray
    chosen: dict[Hashable, str]


def confirmed_regret(auroc: ArrayLike, criteria: Mapping[str, ArrayLike], sets: Sequence[Hashable]) -> Confirmed:
    """Return what it costs to choose by the criterion of least mean regret on all other sets, set by set.

    Neither the candidate nor the criterion has then seen a label of the set it is judged on.

    Args:
        auroc: one per candidate and task, (A, T).
        criteria: name -> one value per candidate and task, (A, T), higher = claimed to be better; a criterion that
            cannot choose on some task is left out.
        sets: the set of each task, (T,), at least two different ones.

    Raises:
        InputError: shapes that do not agree, or an AUROC that is not finite.
        SettingError: one set only, or no criterion that can choose everywhere.

    Fails when: there are few sets: the criterion is then chosen by luck, which the regret shows but cannot mend.

    Cost: O(sets criteria A T).
    """
    y = task_matrix(auroc)
    regrets = {name: top_one_regret(y, m) for name, m in criteria.items()}
    able = {name: regret for name, regret in regrets.items() if np.isfinite(regret).all()}
    if not able:
        raise SettingError(f"no criterion of {list(criteria)} has a value on every task.")
    names = list(able)
    table = np.stack([able[name] for name in names])
    found, chosen = np.empty(y.shape[1]), {}
    for held_out in _held_out(sets, y.shape[1]):
        best = int(table[:, ~held_out].mean(axis=1).argmin())
        found[held_out] = table[best, held_out]
        chosen[sets[int(np.flatnonzero(held_out)[0])]] = names[best]
    return Confirmed(regret=found, chosen=chosen)


def _held_out(sets: Sequence[Hashable], tasks: int) -> list[np.ndarray]:
    """Return for each set which tasks are its own, (T,) bool."""
    if len(sets) != tasks:
        raise InputError(f"sets must name one per task: got {len(sets)} for {tasks} tasks.")
    names = list(dict.fromkeys(sets))
    if len(names) < 2:
        raise SettingError(f"leaving one set out needs at least 2 sets: got only {names[0]!r}.")
    return [np.array([each == name for each in sets]) for name in names]


def _criterion(criterion: ArrayLike, like: ArrayLike) -> FloatArray:
    m = np.asarray(criterion, dtype=np.float64)
    if m.shape != np.shape(like):
        raise InputError(f"a criterion needs one value per candidate and task: got {m.shape} for {np.shape(like)}.")
    return m
