"""Deep SAD on the features of finished detectors: for a few images that a person has marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor, nn

from feint.core.detector import Log, Scorer, as_unit, check_pixels, check_settings, finite, no_log, thinned
from feint.detectors.committee import Unit, unit_of
from feint.detectors.deepsad import hypersphere_loss, refuse_collapse
from feint.detectors.density import EPSILON, FLOOR, GaussianDensity

FARTHEST = 8.0
MOST_FITTED = 4000
SOFTER = 10
MAPPED, MOST_VALUES = 32, 100_000
CHUNK = 64
LOGGED = 50


@final
class MarkedScorer(Scorer):
    """The squared distance of an image from the normal ones in a linear map of what its readers see.

        s(x) = ||u M - c||^2,   u = (z(x) - mu) / sigma cut to +-8

    z(x) are the embeddings of all readers side by side. The anomaly map is the mean of theirs, each in its own units.
    """

    centre: Tensor
    spread: Tensor
    turn: Tensor
    middle: Tensor
    map_units: Tensor

    def __init__(self, readers: Sequence[Scorer], *, components: int) -> None:
        super().__init__(readers[0].channels, readers[0].size)
        self.readers = nn.ModuleList(readers)
        with torch.no_grad():
            features = self._embeddings(torch.zeros(1, self.channels, *self.size)).shape[1]
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("turn", torch.zeros(features, components))
        self.register_buffer("middle", torch.zeros(components))
        self.register_buffer("map_units", torch.tensor([[0.0, 1.0]]).repeat(len(readers), 1))
        self.eval().requires_grad_(requires_grad=False)

    def standardised(self, features: Tensor) -> Tensor:
        """Return u (n, d) of features (n, d)."""
        return ((features - self.centre) / self.spread).clamp(-FARTHEST, FARTHEST)

    def of_features(self, features: Tensor) -> Tensor:
        """Return the scores (n,) of images with these features (n, d)."""
        return (self.standardised(features) @ self.turn - self.middle).square().sum(1)

    def _embeddings(self, images: Tensor) -> Tensor:
        return torch.cat([cast("Scorer", each).embed(images) for each in self.readers], dim=1)

    def _scores(self, images: Tensor) -> Tensor:
        return self.of_features(self._embeddings(images))

    def _maps(self, images: Tensor) -> Tensor:
        maps = torch.stack([cast("Scorer", each).map(images).float() for each in self.readers])
        centres, spreads = self.map_units[:, 0, None, None, None], self.map_units[:, 1, None, None, None]
        return ((maps - centres) / spreads).mean(0)


@final
@dataclass(frozen=True, kw_only=True)
class MarkedDeepSAD:
    r"""Deep SAD with a linear network on what finished detectors see: draws normal images in, pushes marked ones out.

        L(W) = (1/n) sum_x d(x) + (eta/m) sum_x~ 1 / (d(x~) + 1e-6),   d(x) = ||p(x) (I + W)||^2

    p(x) are principal components of the features, whitened on the normal images and scaled to a mean square norm of 1,
    so that with W = 0, where training begins, the score is a Mahalanobis distance: few marks change it little.

    Args:
        components: how many principal components are kept. steps, rate: of Adam, each step with all images.
        eta: weight of the second sum.

    Fails when: the features do not show what the marks are about, as with defects that pooling has lost.
    Cost: one pass of every reader for each image; O(n d^2) for the components; 2 s on one core with 500 images and
    1,500 features.
    References: Ruff et al. (2020), Deep semi-supervised anomaly detection, arXiv:1906.02694, equation 7.
    Deviations: linear on frozen features, since a network trained anew would take minutes; each kind counts alike,
    however many images it has; begins at whitened components, not at an autoencoder's.
    """

    components: int = 48
    steps: int = 400
    rate: float = 1e-2
    eta: float = 1.0

    def __post_init__(self) -> None:
        allowed = {
            "components": self.components >= 1,
            "steps": self.steps >= 0,
            "rate": self.rate > 0,
            "eta": self.eta >= 0,
        }
        check_settings(self, allowed, "components is at least 1, steps and eta are at least 0, rate is above 0")

    def scorer(self, readers: Sequence[Scorer]) -> MarkedScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return MarkedScorer(readers, components=self.components)

    @torch.no_grad()
    def fit(self, readers: Sequence[Scorer], normals: Tensor, anomalous: Tensor, *, log: Log = no_log) -> MarkedScorer:
        """Fit on normal images (n, c, h, w) and on marked anomalous ones (m, c, h, w), uint8; nothing is random.

        Args:
            readers: finished scorers of images of this shape; they stay as they are.

        Raises: InputError for images of another kind; CollapseError where features or scores are all the same.
        """
        check_pixels(normals, "normal")
        check_pixels(anomalous, "anomalous")
        scorer = self.scorer(readers)
        z, marked = (_through(scorer, images) for images in (thinned(normals, MOST_FITTED), anomalous))
        self.fit_features(scorer, z, marked, log=log)
        shown = as_unit(normals[:MAPPED])
        units = [unit_of(thinned(each.map(shown).flatten(), MOST_VALUES)) for each in readers]
        scorer.map_units.copy_(torch.tensor(units))
        return scorer

    @torch.no_grad()
    def fit_features(self, scorer: MarkedScorer, z: Tensor, marked: Tensor, *, log: Log = no_log) -> None:
        """Fit an empty scorer to features of normal images (n, d) and of marked anomalous ones (m, d)."""
        spread = z.std(0)
        scorer.centre.copy_(z.mean(0))
        scorer.spread.copy_(spread.clamp(min=max(float(FLOOR * spread.median()), EPSILON * float(spread.max()), 1e-12)))
        u, marked = scorer.standardised(z).double(), scorer.standardised(marked).double()
        basis = torch.linalg.svd(torch.cat([u, marked]), full_matrices=False).Vh[: self.components].T
        density = GaussianDensity(basis.shape[1])
        density.fit(u @ basis)
        turn = basis / density.spread @ density.whitener
        middle = density.centre / density.spread @ density.whitener
        p, pushed = u @ turn - middle, marked @ turn - middle
        scale = p.square().sum(1).mean().sqrt()
        stretch = self._stretched(p / scale, pushed / scale, log) / scale
        scorer.turn[:, : basis.shape[1]] = (turn @ stretch).float()
        scorer.middle[: basis.shape[1]] = (middle @ stretch).float()
        refuse_collapse((p @ stretch).square().sum(1), middle @ stretch)

    @torch.enable_grad()
    def _stretched(self, normal: Tensor, marked: Tensor, log: Log) -> Tensor:
        """Return I + W (k, k) after training on whitened components (n, k) and (m, k)."""
        identity = torch.eye(normal.shape[1], dtype=normal.dtype)
        W = torch.zeros_like(identity).requires_grad_()
        optimiser = torch.optim.Adam([W], lr=self.rate)
        balanced = self.eta * len(normal) / len(marked)
        for step in range(self.steps):
            near, far = ((each @ (identity + W)).square().sum(1) for each in (normal, marked))
            loss = hypersphere_loss(near, far, eta=balanced)
            value = finite(loss, step)
            if step % LOGGED == 0:
                log(step, value)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        return identity + W.detach()


def softened(unit: Unit, marked: int) -> Unit:
    """Return the unit in which a voter that learned from so many marked anomalous images speaks: with few, softly.

    The spread is widened by 1 + 10 / m, so that m = 5 marks hardly move a committee and 30 nearly do what they can.
    """
    centre, spread = unit
    return centre, spread * (1 + SOFTER / marked)


def _through(scorer: MarkedScorer, images: Tensor) -> Tensor:
    return torch.cat([scorer.embed(as_unit(chunk)) for chunk in torch.split(images, CHUNK)])
