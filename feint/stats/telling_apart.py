"""How many images it takes to tell two candidates apart without labels."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from feint.core.errors import SettingError

AUROC_KERNEL = 1 / 12
_NORMAL = NormalDist()
_LEVEL = 0.05


class ImagesNeeded(NamedTuple):
    """Numbers of held-out normal and of unlabelled images."""

    held_out: int
    unlabelled: int


def paired_sd(held_out: int, unlabelled: int, *, correlation: float, kernel_variance: float = AUROC_KERNEL) -> float:
    """Return the standard deviation of the difference of two candidates' criteria on the same images.

    sd^2 = 2 (1 - rho) v (1 / m + 1 / n): a planning value, before any score is there and for candidates near each
    other. With scores, take DeLong's: `delong(held_out, unlabelled).gap(a, b)` is the difference -+ 1.96 sd.

    Args:
        held_out: m >= 1 held-out normal images.
        unlabelled: n >= 1 unlabelled images.
        correlation: rho in [-1, 1], Spearman's, of the two candidates' scores of normal images; for the excess, the
            correlation of being among the highest.
        kernel_variance: v, of one normal image's share in the criterion: 1/12 for the two-sample AUROC, (1 - q) q for
            the excess above level q.

    Raises:
        SettingError: a number out of its range.

    References: Mann, Whitney (1947): (m + n + 1) / (12 m n) for one candidate without anomalies.

    Example:
        >>> round(paired_sd(400, 600, correlation=0.8), 4)
        0.0118
    """
    if min(held_out, unlabelled) < 1:
        raise SettingError(f"at least one image of each kind is needed: got {held_out} and {unlabelled}.")
    per_image = _variance_per_image(correlation, kernel_variance)
    return math.sqrt(per_image * (1 / held_out + 1 / unlabelled))


def detectable_gap(sd: float, *, share: float, power: float = 0.8) -> float:
    """Return the gap in AUROC that a two-sided 5 % test finds with probability `power`: (z_0.975 + z_power) sd / p.

    Args:
        sd: of the difference of the two candidates' criteria: `paired_sd`, or DeLong's from their scores.
        share: p in (0, 1], the share of anomalies among the unlabelled images.
        power: strictly between 0 and 1.

    Returns:
        The gap in AUROC (for the excess, in the share of anomalies found); above 1/2 it means: never.

    Raises:
        SettingError: a number out of its range.

    Example:
        >>> round(detectable_gap(paired_sd(400, 600, correlation=0.8), share=0.1), 2)
        0.33
    """
    if not sd >= 0:
        raise SettingError(f"sd must be at least 0: got {sd}.")
    return _steps(power) * sd / _share(share)


def images_needed(
    gap: float,
    *,
    share: float,
    correlation: float,
    held_out_per_unlabelled: float = 1.0,
    power: float = 0.8,
    kernel_variance: float = AUROC_KERNEL,
) -> ImagesNeeded:
    """Return how many images let a two-sided 5 % test tell two candidates apart with probability `power`.

    n = (z_0.975 + z_power)^2 2 (1 - rho) v (1 + 1 / ratio) / (p gap)^2 unlabelled and m = ratio n held-out ones.

    Args:
        gap: true difference of the AUROCs (for the excess, of the shares of anomalies found), in (0, 1].
        share: p in (0, 1], the share of anomalies among the unlabelled images.
        correlation: rho in [-1, 1], as in `paired_sd`.
        held_out_per_unlabelled: ratio m : n, above 0.
        power: strictly between 0 and 1.
        kernel_variance: v, as in `paired_sd`.

    Raises:
        SettingError: a number out of its range.

    Fails when: the AUROCs are near 1 or p is large: the variance is then that of DeLong, not of equal candidates.

    Example:
        >>> images_needed(0.1, share=0.5, correlation=0.5)
        ImagesNeeded(held_out=524, unlabelled=524)
        >>> images_needed(0.1, share=0.1, correlation=0.5)
        ImagesNeeded(held_out=13082, unlabelled=13082)
    """
    if not 0 < gap <= 1:
        raise SettingError(f"gap must lie in (0, 1]: got {gap}.")
    if not held_out_per_unlabelled > 0:
        raise SettingError(f"held_out_per_unlabelled must be above 0: got {held_out_per_unlabelled}.")
    per_image = _variance_per_image(correlation, kernel_variance)
    n = (_steps(power) / (_share(share) * gap)) ** 2 * per_image * (1 + 1 / held_out_per_unlabelled)
    return ImagesNeeded(max(1, math.ceil(n * held_out_per_unlabelled)), max(1, math.ceil(n)))


def _variance_per_image(correlation: float, kernel_variance: float) -> float:
    if not -1 <= correlation <= 1:
        raise SettingError(f"correlation must lie in [-1, 1]: got {correlation}.")
    if not 0 < kernel_variance <= 1 / 4:
        raise SettingError(f"kernel_variance must lie in (0, 1/4]: got {kernel_variance}.")
    return 2 * (1 - correlation) * kernel_variance


def _steps(power: float) -> float:
    if not 0 < power < 1:
        raise SettingError(f"power must lie strictly between 0 and 1: got {power}.")
    return _NORMAL.inv_cdf(1 - _LEVEL / 2) + _NORMAL.inv_cdf(power)


def _share(share: float) -> float:
    if not 0 < share <= 1:
        raise SettingError(f"share must lie in (0, 1]: got {share}.")
    return share
