"""How well normal and pseudo-anomalous embeddings together explain the unlabelled ones."""

from __future__ import annotations

import torch
from torch import Tensor

from feint.core.errors import CollapseError

EPSILON = 1e-12
COLLAPSE = 1e-8
ROUNDING = 100


def total_distance_normalisation(*sets: Tensor) -> tuple[Tensor, ...]:
    r"""Return the sets of embeddings (n_k, d) centred jointly and scaled to a fixed total pairwise distance.

        z^_i = sqrt(N) z_i^c / ||Z^c||_F,   Z^c = Z - mean(Z),   Z the N rows of all sets

    Afterwards sum_i ||z^_i||^2 = N and sum_ij ||z^_i - z^_j||^2 = 2 N^2, so that embeddings cannot lower a distance
    loss by shrinking. Gradient flows through the mean and the norm.

    Raises: CollapseError where ||Z^c||_F < 1e-8, or is no more than rounding beside ||Z||_F, or is not finite.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, equation 2. Deviations: none known (the constant
    sqrt(N) is a convention).

    Example:
        >>> a, b = total_distance_normalisation(torch.zeros(2, 1), torch.full((2, 1), 7.0))
        >>> a.flatten().tolist(), b.flatten().tolist()
        ([-1.0, -1.0], [1.0, 1.0])
    """
    joint = torch.cat(sets)
    centred = joint - joint.mean(0)
    norm = (centred.square().sum() + EPSILON**2).sqrt()
    level = float(joint.detach().norm())
    if not norm.detach() > COLLAPSE + ROUNDING * torch.finfo(joint.dtype).eps * level:
        raise CollapseError(
            "all embeddings are the same or not finite, so distances between them mean nothing: the encoder collapsed."
        )
    scaled = centred * (len(joint) ** 0.5 / norm)
    parts: tuple[Tensor, ...] = torch.split(scaled, [len(each) for each in sets])
    return parts


def mean_distance(normal: Tensor, pseudo: Tensor, unlabelled: Tensor) -> Tensor:
    r"""Return the mean distance of unlabelled embeddings (n, d) to the means of the other sets; lower = better aligned.

        L_val = 1/n sum_z 1/2 ( || mean(Z_trn) - z || + || mean(Z_aug) - z || )

    Never below || mean(Z_trn) - mean(Z_aug) || / 2, reached where every z lies between the two means.

    Fails when: pseudo-anomalies equal normal images: both means coincide and the loss may be low for no good reason.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, equation 3. Deviations: the factor 1/2, as in the
    public code of its successor for time series (arXiv:2404.02865), may be absent in the paper.

    Example:
        >>> normal, pseudo = torch.zeros(4, 2), torch.tensor([[1.0, 0.0]]).repeat(4, 1)
        >>> sets = total_distance_normalisation(normal, pseudo, torch.cat([normal[:2], pseudo[:2]]))
        >>> round(float(mean_distance(*sets)), 6)
        1.0
    """
    to_normal: Tensor = (unlabelled - normal.mean(0)).norm(dim=1)
    to_pseudo: Tensor = (unlabelled - pseudo.mean(0)).norm(dim=1)
    return (to_normal + to_pseudo).mean() / 2


def alignment_loss(normal: Tensor, pseudo: Tensor, unlabelled: Tensor) -> Tensor:
    """Return the mean-distance loss after total distance normalisation, for embeddings (n_k, d); lower = better."""
    return mean_distance(*total_distance_normalisation(normal, pseudo, unlabelled))
