"""The landscape: one training over all magnitudes, then a detector and every criterion at any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.quasirandom import SobolEngine

from feint.core.augmentation import RHO_LIMIT, Magnitude, Policy
from feint.core.detector import Log, as_unit, check_pixels, no_log, thinned
from feint.core.errors import SettingError
from feint.core.streams import seed_of, stream
from feint.detectors.density import GaussianDensity
from feint.detectors.discriminator import DiscriminatorScorer
from feint.detectors.training import descend
from feint.networks.conditional import ConditionedClassifier
from feint.networks.conv import ConvEncoder, pooled

CHUNK = 128
MOST_FITTED = 400


class PointScores(NamedTuple):
    """Scores (n,) of some images at one setting of the magnitudes, higher = more anomalous."""

    pooled: Tensor
    logit: Tensor


@final
class Landscape(nn.Module):
    """A detector for every setting of an augmentation's magnitudes.

    Args:
        policy: the augmentation, and the range of its magnitudes that the training has seen.
        network: trained over that range. size: height and width of the images it was trained on.
    """

    def __init__(self, policy: Policy, network: ConditionedClassifier, size: tuple[int, int]) -> None:
        super().__init__()
        self.policy, self.network, self.size = policy, network, size

    def points(self, count: int, *, seed: int) -> Tensor:
        """Return `count` settings (count, m) that fill the range evenly: a scrambled Sobol sequence."""
        engine = SobolEngine(len(self.policy.low), scramble=True, seed=seed_of(seed, "sobol") % 2**31)  # type: ignore[no-untyped-call]
        return self.policy.at(engine.draw(count))

    def at(self, magnitudes: Tensor, normals: Tensor) -> DiscriminatorScorer:
        """Return the detector at `magnitudes` (m,), its densities fitted on normal images (n, c, h, w), uint8."""
        scorer = DiscriminatorScorer(
            normals.shape[1], self.size, width=self.network.width, depth=self.network.depth
        ).to(magnitudes.device)
        scorer.classifier = self.network.at(magnitudes)
        scorer.eval().requires_grad_(requires_grad=False)
        scorer.fit_densities(normals)
        return scorer

    @torch.no_grad()
    def scores(self, magnitudes: Tensor, normals: Tensor, sets: Sequence[Tensor]) -> list[PointScores]:
        """Return the scores at `magnitudes` (m,) of each of the `sets` of images (n_k, c, h, w), uint8.

        The density is fitted on at most 400 of the normal images. Cost: a forward pass for every image; 0.1 s for the
        density of 744 features at width 16.
        """
        plain = self.network.at(magnitudes).eval()
        density = GaussianDensity(3 * sum(self.network.sizes)).to(magnitudes.device)
        density.fit(torch.cat([pooled(maps) for maps in _maps(plain.encoder, thinned(normals, MOST_FITTED))]))
        found = []
        for images in sets:
            densities, logits = [torch.empty(0)], [torch.empty(0)]
            for maps in _maps(plain.encoder, images):
                densities.append(density(pooled(maps)).cpu())
                logits.append(plain.logit(maps[-1].mean((2, 3))).cpu())
            found.append(PointScores(torch.cat(densities), torch.cat(logits)))
        return found

    def ascend(
        self, start: Tensor, held_out: Tensor, unlabelled: Tensor, *, steps: int, seed: int, rate: float = 0.1
    ) -> Tensor:
        r"""Return the magnitudes (m,) where Adam, from `start` (m,), has led the smooth two-sample AUROC of the logit.

            A(a) = mean_{u, h} sigmoid( (f(u; a) - f(h; a)) / tau ),   tau the standard deviation of f(h; a)

        No weight moves: the network is differentiated by its condition. Each step sees 64 images of either set. What
        the policy bounds stays within its bounds.

        Args:
            held_out, unlabelled: images (n, c, h, w), uint8. rate: in unconstrained magnitudes; an eighth for angles.

        Fails when: anomalies are so few that 64 unlabelled images hold none; then it wanders. Compare both ends.
        """
        ranges = self.policy.ranges
        free = [each.free(float(v)) if each.high > each.low else 0.0 for each, v in zip(ranges, start, strict=True)]
        rho = torch.tensor(free, requires_grad=True)
        turning = torch.tensor([each.scale == "periodic" for each in ranges])
        optimiser = torch.optim.Adam([rho], lr=rate)
        chance = stream(seed, "ascent")
        device = next(self.network.parameters()).device
        for _ in range(steps):
            a = _natural(ranges, rho).to(device)
            u, h = (
                self.network(as_unit(images[torch.randint(len(images), (64,), generator=chance)]).to(device), a)[1]
                for images in (unlabelled, held_out)
            )
            tau = h.detach().std().clamp(min=1e-6)
            (gradient,) = torch.autograd.grad(-torch.sigmoid((u[:, None] - h[None]) / tau).mean(), rho)
            rho.grad = torch.where(turning, gradient / 8, gradient)
            optimiser.step()
            with torch.no_grad():
                rho.copy_(torch.where(turning, rho, rho.clamp(-RHO_LIMIT, RHO_LIMIT)))
        return _natural(ranges, rho.detach())


@final
@dataclass(frozen=True, kw_only=True)
class LandscapeTuner:
    r"""Trains a detector that is conditioned on the magnitudes, once, over random ones.

        L(theta) = E_a [ - sum_x log(1 - f(x; a)) - sum_x log f(phi(x; a); a) ],   a uniform on the policy's range

    At each a the best f(.; a) is the detector that a training with a alone would give, so that one training stands for
    a grid of them.

    Args:
        width, depth: of the encoder. steps, batch, rate, weight_decay: as of `Discriminator`, whose training this is.
        nuisances: changes that must not count as anomalies. device: where the training runs.

    Fails when: the range holds settings so different that one small encoder cannot serve them all: in between, it is a
    little worse than a detector of its own (`benchmarks/landscape.py` measures how much).
    Cost: that of one `Discriminator` of as many steps.
    References: the idea of one network for a range of hyperparameters: Lorraine & Duvenaud (2018), arXiv:1802.09419;
    the condition is FiLM, Perez et al. (AAAI 2018), arXiv:1709.07871; as a tuner of augmentations, Feint's own.
    """

    width: int = 16
    depth: int = 4
    steps: int = 600
    batch: int = 32
    rate: float = 2e-3
    weight_decay: float = 1e-4
    nuisances: tuple[Policy, ...] = field(default=())
    device: str = "cpu"

    def fit(self, normals: Tensor, *, policy: Policy, seed: int, log: Log = no_log) -> Landscape:
        """Train on normal images (n, c, h, w), uint8, over the range of `policy`.

        Raises: SettingError where the augmentation has no magnitude; InputError, CollapseError as `Detector.fit`.
        """
        check_pixels(normals, "normal")
        augmentation = policy.augmentation
        if not augmentation.magnitudes:
            raise SettingError(f"{augmentation.name} has no magnitude: there is nothing to tune.")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            network = ConditionedClassifier(
                normals.shape[1], augmentation.magnitudes, width=self.width, depth=self.depth
            ).to(self.device)
        order, chance = stream(seed, "order"), stream(seed, "augment")
        target = torch.cat([torch.zeros(self.batch), torch.ones(self.batch)]).to(self.device)

        def loss() -> Tensor:
            images = as_unit(normals[torch.randint(len(normals), (self.batch,), generator=order)])
            for nuisance in self.nuisances:
                images = nuisance(images, generator=chance)
            noise, magnitudes = policy.draw(images, generator=chance)
            both = torch.cat([images, augmentation.apply(images, noise, magnitudes)]).to(self.device)
            logits = network(both, magnitudes.repeat(2, 1).to(self.device))[1]
            return binary_cross_entropy_with_logits(logits, target)

        weights = [each for each in network.parameters() if each.requires_grad]
        descend(weights, loss, steps=self.steps, rate=self.rate, weight_decay=self.weight_decay, log=log)
        return Landscape(policy, network.eval(), (normals.shape[2], normals.shape[3]))


def _natural(ranges: Sequence[Magnitude], rho: Tensor) -> Tensor:
    """Map unconstrained rho (m,) to magnitudes (m,) within their ranges, differentiably."""
    return torch.stack([each.natural(rho[i]) for i, each in enumerate(ranges)])


def _maps(encoder: ConvEncoder, images: Tensor) -> Iterator[list[Tensor]]:
    """Yield the maps of uint8 images, chunk by chunk; none of none."""
    device = next(encoder.parameters()).device
    return (encoder.maps(as_unit(chunk).to(device)) for chunk in torch.split(images, CHUNK) if len(chunk))
