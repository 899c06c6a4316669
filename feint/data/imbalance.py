"""Labelled images divided for a study of imbalance: balanced tests, and nested training sets of one size."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feint.core.errors import InputError, SettingError
from feint.core.streams import numpy_stream

FEW = 10
NATURAL: Literal["natural"] = "natural"
POOL, TEST, VALIDATION = range(3)

Rows = NDArray[np.intp]
Labels = NDArray[np.int64]
Base = Literal["total", "normal"]
Level = float | Literal["natural"]


@final
@dataclass(frozen=True, eq=False)
class LabelledSplit:
    """Rows (k,), ascending, of the labelled images by what they are for.

    `pool` is what training sets are drawn from. `val_balanced` and `test_balanced` hold as many normal as anomalous
    images. `test_natural` is the whole test part, as it comes; `test_balanced` is drawn from it, so these two overlap,
    and share nothing with the others. `left_out` are rows of the validation part that would unbalance it.
    """

    pool: Rows
    val_balanced: Rows
    test_balanced: Rows
    test_natural: Rows
    left_out: Rows


@final
@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The rows (N,) of the pool that make a training set: first `anomalies` anomalous ones, then the normal ones."""

    level: Level
    rows: Rows
    anomalies: int

    @property
    def normals(self) -> int:
        """How many of the rows are normal."""
        return len(self.rows) - self.anomalies


@final
@dataclass(frozen=True, eq=False)
class NestedSets:
    """Training sets of `total` images each, one per level, in the order of the levels; warnings are sentences."""

    total: int
    sets: tuple[TrainingSet, ...]
    warnings: tuple[str, ...]


def split_labelled(
    labels: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    hashes: Sequence[Hashable] | None = None,
    alike: Rows | None = None,
    shares: tuple[float, float] = (0.3, 0.1),
    seed: int,
) -> LabelledSplit:
    """Return what is for training, for validation and for the tests; labels keep their shares, up to the units.

    A unit is never divided: images that share a group or a hash, or are a pair in `alike`, and what hangs together
    through others. Units of several images are placed first, the largest first, each where the most is still missing;
    single images fill up, so that without larger units the counts are exact.

    Args:
        labels: 0 normal, 1 anomalous, (n,).
        groups: one per image, e.g. the part or the video it shows; None or "" for an image on its own.
        hashes: one per image, equal for duplicates, as `Decoded.hashes`.
        alike: pairs (p, 2) of rows that show one shot, as `near_duplicates` returns.
        shares: of the normal and of the anomalous images that are for testing; and of the rarer kind that validate.
        seed: of the draws.

    Raises: InputError for other labels, lengths that differ, and when a part would lack normal or anomalous images;
    SettingError for shares that leave no pool.
    Fails when: a few units hold most images: the shares are then only approached.
    Cost: O(n log n).

    Example:
        >>> split = split_labelled([0] * 90 + [1] * 10, seed=0)
        >>> [len(rows) for rows in (split.pool, split.val_balanced, split.test_balanced, split.test_natural)]
        [68, 2, 6, 30]
    """
    y = binary_labels(labels, "labels")
    testing, validating = shares
    if not (0 < testing < 1 and 0 < validating < 1 and testing + validating < 1):
        raise SettingError(f"the shares for testing and validation must be positive, together below 1: got {shares}.")
    n = np.bincount(y, minlength=2)
    test = np.maximum(1, np.rint(testing * n)).astype(np.int64)
    validation = np.repeat(max(1, round(validating * int(n.min()))), 2)
    wanted = np.stack([n - test - validation, test, validation])
    rng = numpy_stream(seed, "labelled-split")
    part = _placed(y, _units(len(y), (groups, hashes), alike), wanted, rng)
    for name, which in (("pool", POOL), ("test", TEST), ("validation", VALIDATION)):
        _refuse_one_kind(y, part == which, name)
    balanced = {which: _balanced(y, np.flatnonzero(part == which), rng) for which in (TEST, VALIDATION)}
    return LabelledSplit(
        pool=np.flatnonzero(part == POOL),
        val_balanced=balanced[VALIDATION],
        test_balanced=balanced[TEST],
        test_natural=np.flatnonzero(part == TEST),
        left_out=np.setdiff1d(np.flatnonzero(part == VALIDATION), balanced[VALIDATION]),
    )


def nested(
    labels: ArrayLike, levels: Sequence[Level], *, total: int | None = None, base: Base = "total", seed: int
) -> NestedSets:
    """Return one training set of N images per level l, nested: a higher level keeps the anomalies and adds some.

    A_l = round(l N) anomalies where l is their share of all (`base="total"`), A_l = round(l N / (1 + l)) where it is
    their ratio to the normal images (`base="normal"`). Level l takes the first A_l of one permutation of the
    anomalies and the first N - A_l of one of the normals, which the seed and the labels fix: sets of other calls with
    them are nested in these, so that pretraining and probe can have levels of their own.

    Args:
        labels: of the pool, 0 normal, 1 anomalous, (n,).
        levels: each in [0, 1) of the total or [0, 1] of the normals, or "natural", the share in the pool itself.
            Balanced is .5 of the total, 1 of the normals.
        total: N; None: the largest N at which every level is feasible.
        base: what the levels are shares of.
        seed: of the two permutations.

    Raises: InputError for labels other than 0 and 1, and for a level that the pool is too small for, with the largest
    N that is feasible; SettingError for levels that are none, given twice or out of range.
    Cost: O(n + N levels).

    Example:
        >>> [each.anomalies for each in nested([0] * 9900 + [1] * 1500, [0.01, 0.02, 0.05, 0.15], seed=0).sets]
        [100, 200, 500, 1500]
    """
    y = binary_labels(labels, "labels of the pool")
    _check_levels(levels, base)
    pool = _Pool(normals=int((y == 0).sum()), anomalies=int(y.sum()), base=base)
    largest = pool.largest_total(levels)
    total = largest if total is None else total
    if not 1 <= total <= largest:
        raise pool.infeasible(levels, total, largest)
    normals, anomalies = (
        numpy_stream(seed, "nested", kind).permutation(np.flatnonzero(y == label))
        for label, kind in enumerate(("normal", "anomalous"))
    )
    sets = []
    for level, count in ((level, pool.taken(level, total)) for level in levels):
        sets.append(TrainingSet(level, np.concatenate([anomalies[:count], normals[: total - count]]), count))
    few = tuple(
        f"level {level_name(each.level)} leaves {each.anomalies} anomalous of {total} images, under {FEW}: "
        "results at this level hang on single images."
        for each in sets
        if each.anomalies < FEW and each.level != 0
    )
    return NestedSets(total=total, sets=tuple(sets), warnings=few)


def level_name(level: Level) -> str:
    """Return a level as it is written: '1%', '0.5%', 'natural'."""
    return NATURAL if isinstance(level, str) else f"{100 * level:.6g}%"


def binary_labels(labels: ArrayLike, name: str) -> Labels:
    """Return labels (n,) as integers 0 and 1; raises InputError that lists the values if there are others."""
    array = np.asarray(labels)
    if array.ndim != 1 or not array.size:
        raise InputError(f"the {name} must have shape (images,), with at least one label: got {array.shape}.")
    if not np.isin(array, (0, 1)).all():
        values = sorted({str(each) for each in array.tolist()})
        shown = ", ".join(values[:8]) + ", ..." * (len(values) > 8)
        raise InputError(
            f"the {name} must be 0 (normal) or 1 (anomalous): got {len(values)} values: {shown}. "
            "Leave out what is neither, or say which values are normal by making them 0."
        )
    return array.astype(np.int64)


def _units(count: int, keys: Sequence[Sequence[Hashable] | None], alike: Rows | None) -> Rows:
    """Return for each image (n,) the lowest row of its unit."""
    lowest = list(range(count))

    def find(row: int) -> int:
        while lowest[row] != row:
            lowest[row] = row = lowest[lowest[row]]
        return row

    def join(a: int, b: int) -> None:
        low, high = sorted((find(a), find(b)))
        lowest[high] = low

    for key in (each for each in keys if each is not None):
        if len(key) != count:
            raise InputError(f"there must be one group and one hash per label: got {len(key)} for {count} labels.")
        first: dict[Hashable, int] = {}
        for row, each in enumerate(key):
            if each not in {None, ""}:
                join(row, first.setdefault(each, row))
    for a, b in [] if alike is None else alike.tolist():
        join(a, b)
    return np.array([find(row) for row in range(count)], np.intp)


def _placed(y: Labels, units: Rows, wanted: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Return the part (n,) of each image; `wanted` (3, 2) are the counts of each part by label."""
    need = wanted.copy()
    heads, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    counts = np.stack([np.bincount(inverse[y == label], minlength=len(heads)) for label in (0, 1)], axis=1)
    several = rng.permutation(np.flatnonzero(sizes > 1))
    place = np.zeros(len(heads), np.int8)
    weight = 1 / np.maximum(wanted.sum(axis=0), 1)
    for unit in several[np.argsort(-sizes[several], kind="stable")]:
        place[unit] = np.argmax((need * weight) @ counts[unit])
        need[place[unit]] -= counts[unit]
    part = place[inverse]
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero((sizes[inverse] == 1) & (y == label)))
        for which in (TEST, VALIDATION):
            taken = max(0, int(need[which, label]))
            part[rows[:taken]] = which
            rows = rows[taken:]
    return part


def _refuse_one_kind(y: Labels, inside: NDArray[np.bool_], name: str) -> None:
    anomalies, count = int(y[inside].sum()), int(inside.sum())
    if not 0 < anomalies < count:
        raise InputError(
            f"of {len(y)} images, {int(y.sum())} of them anomalous, the {name} would get {count - anomalies} normal "
            f"and {anomalies} anomalous ones: each part needs both. Give more images, other shares, or smaller groups."
        )


def _balanced(y: Labels, rows: Rows, rng: np.random.Generator) -> Rows:
    """Return all of the rarer kind among `rows` and as many of the other, ascending."""
    kinds = [rows[y[rows] == label] for label in (0, 1)]
    count = min(len(kind) for kind in kinds)
    return np.sort(np.concatenate([rng.choice(kind, count, replace=False) for kind in kinds]))


def _check_levels(levels: Sequence[Level], base: Base) -> None:
    if base not in {"total", "normal"}:
        raise SettingError(f"the base of the levels must be total or normal: got {base!r}.")
    problems = ["at least one level is needed"] if not levels else []
    top = "below 1 of the total" if base == "total" else "at most 1 of the normals"
    for level in levels:
        balanced = base == "normal" and level == 1
        if not (level == NATURAL if isinstance(level, str) else 0 <= level < 1 or balanced):
            problems.append(f"a level must be 'natural', or at least 0 and {top}: got {level!r}")
    problems += [f"the level {each!r} is given twice" for each in {*levels} if list(levels).count(each) > 1]
    if problems:
        raise SettingError(f"{'; '.join(problems)}.")


@final
@dataclass(frozen=True)
class _Pool:
    """How many images of each kind there are to draw from, and what levels are shares of."""

    normals: int
    anomalies: int
    base: Base

    def taken(self, level: Level, total: int) -> int:
        """Return A_l."""
        if isinstance(level, str):
            return round(total * self.anomalies / (self.normals + self.anomalies))
        return round(level * total) if self.base == "total" else round(level * total / (1 + level))

    def too_small(self, level: Level, total: int) -> bool:
        taken = self.taken(level, total)
        return taken > self.anomalies or total - taken > self.normals

    def largest_total(self, levels: Sequence[Level]) -> int:
        """Return the largest N at which every level is feasible: what the sets take grows with N."""
        totals = range(1, self.normals + self.anomalies + 1)
        return bisect_left(totals, True, key=lambda total: any(self.too_small(each, total) for each in levels))

    def infeasible(self, levels: Sequence[Level], total: int, largest: int) -> InputError:
        pool = f"{self.normals} normal and {self.anomalies} anomalous images"
        if largest == 0 or total < 1:
            return InputError(f"no training set can be made of {pool} at N = {total}.")
        counts = [(level, self.taken(level, total)) for level in levels if self.too_small(level, total)]
        short = [f"{level_name(level)} takes {k} anomalous and {total - k} normal images" for level, k in counts]
        return InputError(
            f"N = {total} is too many for a pool of {pool}: {'; '.join(short)}. Take N <= {largest}, or other levels."
        )
