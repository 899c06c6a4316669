"""The upper losses of self-tuning by name: the paper's, and those of its ablation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from feint.tuning.alignment import alignment_loss, mean_distance, total_distance_normalisation

LossName = Literal["mean-distance", "mean-distance-raw", "mmd", "mmd-normalised"]
AlignmentLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    r"""Return the squared maximum mean discrepancy of two sets of embeddings, (n, d) and (m, d); 0 = alike.

        MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   k(a, b) = exp(-||a - b||^2 / 2)

    The means take all pairs, so that it is never negative, and 0 for equal sets. After total distance normalisation
    the mean of ||a - b||^2 is 2, which is what the kernel's width is made for.

    Cost: O((n + m)^2 d).
    References: Gretton et al. (JMLR 2012), equation 5. Deviations: none known.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> float(squared_mmd(x, x)), round(float(squared_mmd(x, x + 9)), 4)
        (0.0, 1.6065)
    """
    within = _kernel(x, x).mean() + _kernel(y, y).mean()
    return (within - 2 * _kernel(x, y).mean()).clamp(min=0)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return torch.exp(-squares.clamp(min=0) / 2)


def _mmd(normal: Tensor, pseudo: Tensor, unlabelled: Tensor) -> Tensor:
    return squared_mmd(torch.cat([normal, pseudo]), unlabelled)


def _mmd_normalised(normal: Tensor, pseudo: Tensor, unlabelled: Tensor) -> Tensor:
    return _mmd(*total_distance_normalisation(normal, pseudo, unlabelled))


LOSSES: dict[LossName, AlignmentLoss] = {
    "mean-distance": alignment_loss,
    "mean-distance-raw": mean_distance,
    "mmd": _mmd,
    "mmd-normalised": _mmd_normalised,
}
"""What each makes of the embeddings (n_k, d) of normal, pseudo-anomalous and unlabelled images; lower = better aligned.

`mean-distance` is the paper's, after total distance normalisation; `mean-distance-raw` goes without it. `mmd` and
`mmd-normalised`, without and with it, compare normal and pseudo-anomalous images together with the unlabelled ones;
unlike the mean distance they depend on the share of anomalies among these. The paper's kernel is not public.
"""
