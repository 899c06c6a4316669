"""What a candidate left behind, and the abstract criterion that judges candidates by it without a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import CollapseError, InputError
from feint.metrics.arrays import FloatArray

Part = Literal["held_out", "pool", "pseudo", "again", "normal_embeddings", "pseudo_embeddings", "pool_embeddings"]
PARTS: tuple[Part, ...] = get_args(Part)

_VECTORS = ("held_out", "pool", "pseudo")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What one candidate (a detector fitted at one setting) says of images, none of them labelled.

    Args:
        held_out: scores (m,) of normal images kept out of training.
        pool: scores (n,) of the unlabelled images.
        pseudo: scores (k,) of pseudo-anomalies made from held-out normal images.
        again: scores (r, n) of the same pool by the same candidate, trained with r other seeds.
        normal_embeddings: (a, d) of normal images; pseudo_embeddings: (b, d) of pseudo-anomalies;
            pool_embeddings: (n, d) of unlabelled images.

    Scores are higher = more anomalous. None: the candidate left no such thing. All are held as float64. What is empty,
    NaN or infinite is let in, and makes every criterion that needs it undefined.

    Raises: InputError where a part has the wrong number of dimensions, or parts do not fit one another.
    """

    held_out: ArrayLike | None = None
    pool: ArrayLike | None = None
    pseudo: ArrayLike | None = None
    again: ArrayLike | None = None
    normal_embeddings: ArrayLike | None = None
    pseudo_embeddings: ArrayLike | None = None
    pool_embeddings: ArrayLike | None = None

    def __post_init__(self) -> None:
        features, images = set(), set()
        for name in PARTS:
            given = getattr(self, name)
            if given is None:
                continue
            array = np.asarray(given, dtype=np.float64)
            wanted = 1 if name in _VECTORS else 2
            if array.size and array.ndim != wanted:
                raise InputError(f"{name} must have {wanted} dimension(s): got shape {array.shape}.")
            if array.size and name in {"pool", "again"}:
                images.add(array.shape[-1])
            elif array.size and wanted == 2:
                features.add(array.shape[-1])
            object.__setattr__(self, name, array)
        if len(images) > 1:
            raise InputError(f"again must score the images of pool: got {sorted(images)} images.")
        if len(features) > 1:
            raise InputError(f"embeddings must come from one encoder: got {sorted(features)} features.")

    def part(self, name: Part) -> FloatArray:
        """Return one part; raises InputError where the candidate left none, an empty one, or one that is not finite."""
        array = np.asarray(getattr(self, name), dtype=np.float64)
        if array.size == 0 or not np.isfinite(array).all():
            raise InputError(f"this candidate's {name} is missing, empty or not finite.")
        return array


class Criterion(ABC):
    """A label-free number by which candidates are chosen: HIGHER IS BETTER, always; losses are negated.

    Subclasses are frozen dataclasses whose fields are settings. `needs` are the parts
    of the evidence without which a candidate cannot be judged. A criterion of `ranks_only` is unchanged by any
    increasing transform of a candidate's scores. A `consensus` judges each candidate by the others; all that are not
    give a candidate the same value whatever stands beside it.
    """

    needs: ClassVar[frozenset[Part]]
    ranks_only: ClassVar[bool] = False
    consensus: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The key in `CRITERIA`."""

    def values(self, candidates: Sequence[Evidence], *, seed: int) -> FloatArray:
        """Return the criterion of each candidate, (C,), higher = better, NaN where it is undefined; never infinite.

        Undefined is what lacks a part that is needed, holds a NaN or infinite value in it, or is too little, constant
        or collapsed so that the formula has no value. Such a candidate has no influence on the others.

        Args:
            candidates: one evidence each.
            seed: where a criterion uses chance, all candidates meet the same chance.
        """
        judged = np.array([i for i, each in enumerate(candidates) if self._can_judge(each)], dtype=np.int64)
        found = np.full(len(candidates), np.nan)
        with np.errstate(all="ignore"):
            found[judged] = self._values([candidates[i] for i in judged], seed)
        found[~np.isfinite(found)] = np.nan
        return found

    def _can_judge(self, candidate: Evidence) -> bool:
        try:
            for part in self.needs:
                candidate.part(part)
        except InputError:
            return False
        return True

    @abstractmethod
    def _values(self, candidates: Sequence[Evidence], seed: int) -> ArrayLike:
        """Return the criterion (C,) of candidates whose needed parts are there and finite; what is not is undefined."""


class SeparateCriterion(Criterion):
    """A criterion that looks at one candidate at a time."""

    def _values(self, candidates: Sequence[Evidence], seed: int) -> ArrayLike:
        return [self._defined(each, seed) for each in candidates]

    def _defined(self, candidate: Evidence, seed: int) -> float:
        try:
            return self._value(candidate, seed)
        except (CollapseError, InputError):
            return np.nan

    @abstractmethod
    def _value(self, candidate: Evidence, seed: int) -> float:
        """Return the criterion; raises CollapseError or InputError where it is undefined."""
