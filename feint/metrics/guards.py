"""Guards: what makes scores, losses or pseudo-anomalies worthless, found before anyone trusts them.

Each returns findings, none when all is well; a guard warns and never changes a number. The guard of embeddings is
`feint.metrics.representations.collapse_alarms`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError

IDENTITY_CHANGE = 1e-6
EASY_LOSS = 0.05
FIRST_STEPS = 10
FLAT_IMPROVEMENT = 0.01


class Finding(NamedTuple):
    """One thing that is wrong: a code for programs and a sentence for people."""

    code: str
    sentence: str


def guard_scores(scores: ArrayLike) -> list[Finding]:
    """Return findings on anomaly scores (n,): `non_finite_scores`, `constant_scores`.

    Constant means fewer than max(3, 0.01 n) distinct finite values, or an interquartile range of at most 1e-9 of
    the absolute median. Fewer than three scores are never called constant.

    Cost: O(n log n).

    Example:
        >>> [finding.code for finding in guard_scores([0.5] * 100 + [float("nan")])]
        ['non_finite_scores', 'constant_scores']
        >>> guard_scores([0.1, 0.4, 0.2, 0.9])
        []
    """
    s = np.asarray(scores, dtype=np.float64)
    finite = s[np.isfinite(s)]
    findings = []
    if finite.size < s.size:
        findings.append(
            Finding("non_finite_scores", f"{s.size - finite.size} of {s.size} scores are NaN or infinite: ignore them.")
        )
    if finite.size >= 3:
        distinct = np.unique(finite).size
        low, median, high = np.quantile(finite, [0.25, 0.5, 0.75])
        if distinct < max(3, 0.01 * finite.size) or high - low <= 1e-9 * abs(median):
            findings.append(
                Finding(
                    "constant_scores",
                    f"the {finite.size} scores hold only {distinct} distinct values (middle half from {low:g} to "
                    f"{high:g}): they cannot rank the images.",
                )
            )
    return findings


def guard_losses(losses: ArrayLike) -> list[Finding]:
    """Return findings on a discriminator's cross-entropy, one per step: `non_finite_loss`, `easy_loss`, `flat_loss`.

    Easy: the median of the first ten steps is below 0.05, so the pseudo-anomalies are told apart without learning.
    Flat: the mean of the last quarter is not at least 1 % below that of the first ten steps. Fewer than 40 steps
    are not judged flat.

    Example:
        >>> [finding.code for finding in guard_losses([0.693] * 200)]
        ['flat_loss']
        >>> guard_losses([0.7 / (1 + 0.1 * step) for step in range(200)])
        []
    """
    loss = np.asarray(losses, dtype=np.float64)
    bad = int(np.count_nonzero(~np.isfinite(loss)))
    if bad:
        return [Finding("non_finite_loss", f"the training loss is NaN or infinite at {bad} of {loss.size} steps.")]
    first = loss[:FIRST_STEPS]
    if first.size and np.median(first) < EASY_LOSS:
        return [
            Finding(
                "easy_loss",
                f"the pseudo-anomalies are too easy: the loss is {np.median(first):.3g} within the first "
                f"{first.size} steps, so the detector need not learn what normal images look like.",
            )
        ]
    last = loss[-(loss.size // 4) :]
    if loss.size >= 4 * FIRST_STEPS and last.mean() > (1 - FLAT_IMPROVEMENT) * first.mean():
        return [
            Finding(
                "flat_loss",
                f"training did not reduce the loss: {first.mean():.3g} at first, {last.mean():.3g} at last.",
            )
        ]
    return []


def guard_augmentation(before: ArrayLike, after: ArrayLike) -> list[Finding]:
    """Return the finding `identity_augmentation` if the mean absolute change of images in [0, 1] is below 1e-6.

    Args:
        before: images of any shape.
        after: the same images, augmented, of the same shape.

    Raises:
        InputError: the shapes differ.
    """
    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if x.shape != y.shape:
        raise InputError(f"images before and after must have one shape: got {x.shape} and {y.shape}.")
    change = float(np.abs(x - y).mean())
    if change >= IDENTITY_CHANGE:
        return []
    return [
        Finding(
            "identity_augmentation",
            f"the augmentation leaves the images as they are (mean change {change:.1e}): it teaches nothing.",
        )
    ]


def guard_auroc(auroc: float) -> list[Finding]:
    """Return the finding `inverted_scores` if an AUROC is below 0.5: reported, and never flipped.

    Example:
        >>> guard_auroc(0.31)[0].code
        'inverted_scores'
    """
    if auroc >= 0.5:
        return []
    return [
        Finding(
            "inverted_scores",
            f"AUROC {auroc:.3f} is below 0.5: anomalous images score lower than normal ones. Check the labels (1 = "
            f"anomalous); if they are right, this detector looks at the wrong thing.",
        )
    ]
