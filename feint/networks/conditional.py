"""One network for a whole range of magnitudes: at each of them it is a plain classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm

from feint.core.augmentation import Magnitude
from feint.networks.conv import GROUPS, Classifier

HIDDEN = 64


@final
class ConditionedClassifier(nn.Module):
    r"""A `Classifier` whose group normalisations are scaled and shifted by a function of the magnitudes (FiLM).

        h_i = relu( gamma_i(a) GN(conv_i(h_{i-1})) + beta_i(a) ),   (gamma, beta) = MLP(encoding of a)

    For fixed magnitudes a the gammas and betas are constants, so that the network is then exactly a `Classifier` with
    these as the weights of its normalisations: `at` returns it.

    Args:
        channels: 1 or 3. magnitudes: those it is conditioned on; a periodic one is encoded by its sine and cosine,
            any other by its share t of the range, as 2 t - 1, sin(pi t) and cos(pi t).
        width, depth: of the encoder.

    Cost: one pass costs what the plain classifier's does, and 20,000 multiplications more at width 16.
    References: Perez, Strub, de Vries, Dumoulin, Courville (AAAI 2018), FiLM, arXiv:1709.07871, equations 1 and 2.
    Deviations: gamma starts at 1 and beta at 0 for every a.
    """

    def __init__(self, channels: int, magnitudes: Sequence[Magnitude], *, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        self.magnitudes, self.width, self.depth = tuple(magnitudes), width, depth
        self.classifier = Classifier(channels, width=width, depth=depth)
        norms = self._norms(self.classifier)
        self.sizes = [norm.num_channels for norm in norms]
        for norm in norms:
            norm.requires_grad_(requires_grad=False)
        encoded = sum(2 if each.scale == "periodic" else 3 for each in self.magnitudes)
        self.film = nn.Sequential(nn.Linear(encoded, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * sum(self.sizes)))
        last = self.film[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, images: Tensor, magnitudes: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (n, d) and logits (n,) of images (n, c, h, w) in [0, 1] at magnitudes (n, m) or (m,)."""
        x = (images - 0.5) / 0.25
        for stage, (gamma, beta) in zip(self.classifier.encoder.stages, self._film(magnitudes), strict=True):
            assert isinstance(stage, nn.Sequential)
            x = group_norm(stage[0](x), GROUPS)
            x = torch.relu(x * gamma[..., None, None] + beta[..., None, None])
        embeddings = x.mean((2, 3))
        return embeddings, self.classifier.logit(embeddings)

    def at(self, magnitudes: Tensor) -> Classifier:
        """Return the plain classifier that this one is at magnitudes (m,); a copy, whose weights want gradients."""
        plain = deepcopy(self.classifier)
        with torch.no_grad():
            for norm, (gamma, beta) in zip(self._norms(plain), self._film(magnitudes), strict=True):
                norm.weight.copy_(gamma[0])
                norm.bias.copy_(beta[0])
        return plain.requires_grad_(requires_grad=True)

    def encode(self, magnitudes: Tensor) -> Tensor:
        """Return the encoding (n, e) of magnitudes (n, m), differentiably."""
        columns = []
        for i, each in enumerate(self.magnitudes):
            t = each.share(magnitudes[:, i])
            turn = math.pi * (2 if each.scale == "periodic" else 1)
            columns += [torch.sin(turn * t), torch.cos(turn * t)]
            if each.scale != "periodic":
                columns.append(2 * t - 1)
        return torch.stack(columns, dim=1)

    def _film(self, magnitudes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return gamma and beta (n, c_i) of every stage."""
        found = self.film(self.encode(magnitudes if magnitudes.ndim == 2 else magnitudes[None]))
        gammas, betas = found.chunk(2, dim=1)
        ends = [0, *torch.tensor(self.sizes).cumsum(0).tolist()]
        return [(1 + gammas[:, low:high], betas[:, low:high]) for low, high in pairwise(ends)]

    @staticmethod
    def _norms(classifier: Classifier) -> list[nn.GroupNorm]:
        return [module for module in classifier.encoder.modules() if isinstance(module, nn.GroupNorm)]
