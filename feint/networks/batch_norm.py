"""Batch normalisation by the statistics of the whole batch, over however many processes it is spread."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from feint.core.distributed import processes, summed
from feint.core.errors import InputError

MOMENTUM = 0.1
EPS = 1e-5


@final
class GlobalBatchNorm(nn.Module):
    """Batch normalisation of (n, c) and (n, c, h, w), channel by channel.

        y = (x - mu) / sqrt(var + 1e-5) * weight + bias

    In training, mu and var (biased) are those of the batches of all processes together, and gradients flow through them
    from every process to every other; the running statistics move a tenth of the way to mu and to the unbiased var. In
    evaluation, the running statistics take their place. In a single process it is torch's `batch_norm`.

    The names in its `state_dict` are those of torch's `BatchNorm2d`.

    Args:
        features: c. affine: whether there are a weight and a bias, which are trained.

    Raises: InputError in training for a single value per channel, which has no variance.
    Fails when: the batch of all processes is small; its statistics are then noisy.
    Cost: two sums over processes of c numbers each, forward, and as many backward.
    References: Ioffe, Szegedy (ICML 2015), Batch normalization, arXiv:1502.03167, algorithm 1.
    Deviations: none from torch's `BatchNorm2d`, whose `SyncBatchNorm` refuses tensors on a CPU.

    Example:
        >>> y = GlobalBatchNorm(1)(torch.tensor([[1.0], [3.0]]))
        >>> [round(value, 3) for value in y.flatten().tolist()]
        [-1.0, 1.0]
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int, *, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (n, c) or (n, c, h, w), normalised."""
        if not self.training:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPS)
        if x.numel() == x.shape[1] and processes() == 1:
            raise InputError(
                f"batch normalisation needs more than one value per channel to train: got {tuple(x.shape)}. Give at "
                "least two images a step."
            )
        self.num_batches_tracked.add_(1)
        if processes() > 1:
            return self._over_processes(x)
        return batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=True, momentum=MOMENTUM, eps=EPS
        )

    def _over_processes(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        over = [axis for axis in range(x.ndim) if axis != 1]
        here = wide.new_tensor([x.numel() / x.shape[1]])
        sums = summed(torch.cat([wide.sum(over), here]))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = wide - _along_channels(mean, x)
        var = summed(centred.square().sum(over)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), MOMENTUM)
            self.running_var.lerp_((var * count / (count - 1)).to(self.running_var.dtype), MOMENTUM)
        scale = (var + EPS).rsqrt()
        if self.weight is None or self.bias is None:
            return (centred * _along_channels(scale, x)).to(x.dtype)
        return (centred * _along_channels(scale * self.weight, x) + _along_channels(self.bias, x)).to(x.dtype)


def _along_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (x.ndim - 2))
