"""Alarms of collapse: an encoder that has stopped telling images apart, found from its embeddings and its loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray
from feint.metrics.guards import Finding
from feint.metrics.representations.spectral import rankme_centred
from feint.metrics.representations.sphere import std_of_l2

SPREAD = 0.1
FEWEST_DIRECTIONS = 2
SHARE_OF_DIRECTIONS = 0.05
NEAR_FLOOR = 0.01
STEPS_AT_FLOOR = 100


def collapse_alarms(
    embeddings: ArrayLike,
    *,
    untrained_spread: float | None = None,
    loss: ArrayLike | None = None,
    floor: float | None = None,
    steps_at_floor: int = STEPS_AT_FLOOR,
) -> list[Finding]:
    """Return what says that an encoder has collapsed or its training diverged; none when all is well.

    `collapsed_embeddings`: unit-length rows have a mean standard deviation below 0.1 / sqrt(d) (and below 0.1 of
    `untrained_spread`, where that is given), or (d >= 16) the centred RankMe is below 2. `low_rank_embeddings`: the
    centred RankMe is below 5 % of min(n, d). `non_finite_embeddings` and `non_finite_loss`: NaN or infinite values.
    `loss_at_floor`: each of the last `steps_at_floor` losses lies within 1 % of the loss of a collapsed encoder.

    Args:
        embeddings: (n, d), n >= 2.
        untrained_spread: `std_of_l2` of the same images before training. An untrained network often gives less than
            0.1 / sqrt(d), 0.02 / sqrt(d) for images of one texture; without this number that is an alarm.
        loss: one per step so far, (steps,).
        floor: the loss of a collapsed encoder: ln K for DINO, ln(2 N - 1) for SimCLR; None: the loss does not tell.
        steps_at_floor: at least 1; with fewer losses than that the floor raises no alarm.

    Raises:
        InputError: not a matrix of embeddings of at least two images.

    Fails when: n is below about 100: few images span few directions, and a small n hides a low rank.

    Cost: O(n d min(n, d)).

    References: the standard deviation of Chen and He (2021), arXiv 2011.10566, and the rank of Garrido et al. (2023),
    arXiv 2210.02885; the limits are Feint's own.

    Example:
        >>> import numpy as np
        >>> z = np.random.default_rng(0).normal(size=(200, 32))
        >>> collapse_alarms(z, loss=np.linspace(5.5, 3, 300), floor=np.log(255))
        []
        >>> [alarm.code for alarm in collapse_alarms(np.ones((200, 32)), loss=[5.54] * 100, floor=np.log(255))]
        ['collapsed_embeddings', 'loss_at_floor']
    """
    z = np.asarray(embeddings, dtype=np.float64)
    bad = int(np.count_nonzero(~np.isfinite(z)))
    if bad:
        alarms = [Finding("non_finite_embeddings", f"{bad} of {z.size} values of the embeddings are NaN or infinite.")]
    else:
        alarms = _embedding_alarms(z, untrained_spread)
    return alarms if loss is None else alarms + _loss_alarms(np.asarray(loss, dtype=np.float64), floor, steps_at_floor)


def projector_alarms(embeddings: ArrayLike, *, untrained_spread: float | None = None) -> list[Finding]:
    """Return the alarms of embeddings (n, d) seen through a projector, whose rank is often low: that is none."""
    return [
        Finding(f"{each.code}@projector", f"seen through its projector, {each.sentence}")
        for each in collapse_alarms(embeddings, untrained_spread=untrained_spread)
        if each.code != "low_rank_embeddings"
    ]


def _embedding_alarms(z: FloatArray, untrained_spread: float | None) -> list[Finding]:
    if z.ndim == 2 and len(z) < 2:
        raise InputError("collapse shows between images: got the embeddings of one. Give at least two.")
    rank, spread = rankme_centred(z), std_of_l2(z)
    n, d = z.shape
    healthy = d**-0.5 if untrained_spread is None else min(d**-0.5, untrained_spread)
    if spread < SPREAD * healthy or (d >= 16 and rank < FEWEST_DIRECTIONS):
        return [
            Finding(
                "collapsed_embeddings",
                f"the encoder maps all images to nearly the same {d} numbers (spread {spread:.2g}, effective rank "
                f"{rank:.1f}): scores on it mean nothing.",
            )
        ]
    if rank < SHARE_OF_DIRECTIONS * min(n, d):
        return [
            Finding(
                "low_rank_embeddings",
                f"the encoder uses {rank:.1f} of its {min(n, d)} possible directions: weak scores.",
            )
        ]
    return []


def _loss_alarms(loss: FloatArray, floor: float | None, steps_at_floor: int) -> list[Finding]:
    bad = int(np.count_nonzero(~np.isfinite(loss)))
    if bad:
        return [Finding("non_finite_loss", f"the training loss is NaN or infinite at {bad} of {loss.size} steps.")]
    if floor is None or loss.size < steps_at_floor:
        return []
    if np.abs(loss[-steps_at_floor:] - floor).max() > NEAR_FLOOR * abs(floor):
        return []
    return [
        Finding(
            "loss_at_floor",
            f"the loss has stayed within 1 % of {floor:.4g} for {steps_at_floor} steps, which is what an encoder gives "
            "that maps all images to one point: it learns nothing. Lower the rate, or raise the temperature.",
        )
    ]
