"""ST-SSAD: tune the magnitudes of one augmentation, end to end, against unlabelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, final

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits

from feint.core.augmentation import RHO_LIMIT, Augmentation, Policy
from feint.core.detector import as_unit, finite
from feint.core.errors import CollapseError, SettingError
from feint.core.streams import seed_of, stream
from feint.metrics.roc import auroc
from feint.networks import Classifier
from feint.tuning.hypergradient import Hypergradient, Weights, first_order, unrolled
from feint.tuning.losses import LOSSES, LossName

AVERAGED = 4
SEPARABLE = 0.6
VISIBLE = 1 / 255


@dataclass(frozen=True)
class Tuned:
    """Where one start ended. `status` "identity" (pseudo-anomalies equal normal images) or "collapsed" is a failure."""

    magnitudes: dict[str, float]
    status: Literal["ok", "identity", "collapsed"]
    note: str
    separability: float
    variance: float


@final
@dataclass(frozen=True, kw_only=True)
class SelfTuner:
    r"""Alternates steps of the detector with steps of the magnitudes, from one start.

        lower:  theta' = theta - alpha grad_theta L_trn(theta, a)            a plain step, kept in the graph
        upper:  a <- a - beta d/da L_val(theta'(a), a)                       alignment of Z_trn, Z_aug(a) and Z_val

    Args:
        updates: steps of the magnitudes. warm_start: plain steps of the detector before the first of them.
        between: plain steps of the detector per step of the magnitudes.
        batch: normal images in the lower loss (as many pseudo-anomalies are added).
        sample: images of each kind in the upper loss.
        rate: learning rate of the detector (Adam); magnitude_rate: of the unconstrained magnitudes (Adam);
            turn_rate: the same for angles, in periods.
        loss: L_val, by its name in `LOSSES`.
        order: "second" for the hypergradient through the detector's step, "first" for the ablation.

    A start that ends where pseudo-anomalies cannot be told from normal images (AUROC of the detector's own logit
    below 0.6, or no pixel changed visibly) has status "identity": L_val is then low for no good reason.

    Cost: a step of the magnitudes takes 4.8 to 5.4 plain steps at equal batch sizes (`benchmarks/second_order.py`), and
    6 to 8 at the default ones, whose upper loss sees twice as many images.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, section 3.
    Deviations: the result is the mean over the last quarter of the path, since each step sees few images; Adam's
    diagonal scaling is kept in the lower step as a constant, without momentum and with epsilon 1e-4; the detector then
    takes several plain steps of Adam of its own instead of keeping theta'; optimisers, rates and budgets are Feint's
    (the paper's are not public).
    """

    width: int = 16
    depth: int = 4
    warm_start: int = 60
    updates: int = 120
    between: int = 2
    batch: int = 32
    sample: int = 64
    rate: float = 2e-3
    magnitude_rate: float = 0.08
    turn_rate: float = 0.012
    loss: LossName = "mean-distance"
    order: Literal["second", "first"] = "second"
    nuisances: tuple[Policy, ...] = field(default=())
    device: str = "cpu"

    def run(
        self,
        normals: Tensor,
        unlabelled: Tensor,
        *,
        augmentation: Augmentation,
        start: dict[str, float],
        seed: int,
        log: Callable[[int, float, float, dict[str, float]], None],
    ) -> Tuned:
        """Tune from `start` on uint8 images (n, c, h, w); `log(step, L_val, L_trn, magnitudes)` after each update."""
        if not augmentation.differentiable:
            raise SettingError(f"{augmentation.name} has no gradient for its magnitudes: it cannot be tuned.")
        return _Start(self, normals, unlabelled, augmentation, seed).run(start, log)


class _Start:
    """The state of one start: detector, both optimisers and the streams of chance."""

    def __init__(
        self, recipe: SelfTuner, normals: Tensor, unlabelled: Tensor, augmentation: Augmentation, seed: int
    ) -> None:
        self.recipe, self.normals, self.unlabelled, self.augmentation = recipe, normals, unlabelled, augmentation
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            self.network = Classifier(normals.shape[1], width=recipe.width, depth=recipe.depth)
        self.network.to(recipe.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.rate)
        self.chance = stream(seed, "tune", augmentation.name)

    def run(self, start: dict[str, float], log: Callable[[int, float, float, dict[str, float]], None]) -> Tuned:
        recipe = self.recipe
        rho = self.augmentation.free(start).to(recipe.device)
        turning = torch.tensor([m.scale == "periodic" for m in self.augmentation.magnitudes], device=recipe.device)
        step_size = torch.where(turning, recipe.turn_rate, recipe.magnitude_rate)
        moments = [torch.zeros_like(rho), torch.zeros_like(rho)]
        tail: list[Tensor] = []
        for _ in range(recipe.warm_start):
            self._plain_step(rho)
        try:
            for update in range(recipe.updates):
                for _ in range(recipe.between):
                    self._plain_step(rho)
                found = self.hypergradient(rho)
                value = finite(found.upper, update)
                rho = _adam(rho, found.gradient, moments, update, step_size)
                rho = torch.where(turning, rho, rho.clamp(-RHO_LIMIT, RHO_LIMIT))
                if update >= recipe.updates - max(1, recipe.updates // AVERAGED):
                    tail.append(rho)
                log(update, value, float(found.lower), self._magnitudes(rho))
        except CollapseError as error:
            return Tuned(self._magnitudes(rho), "collapsed", str(error), 0.5, 0.0)
        return self._judge(torch.stack(tail or [rho]).mean(0))

    def _magnitudes(self, rho: Tensor) -> dict[str, float]:
        values = self.augmentation.natural(rho).tolist()
        return {
            m.name: m.low + (v - m.low) % (m.high - m.low) if m.scale == "periodic" else v
            for m, v in zip(self.augmentation.magnitudes, values, strict=True)
        }

    def _batch(self, images: Tensor, n: int) -> Tensor:
        chosen = torch.randint(len(images), (n,), generator=self.chance)
        batch = as_unit(images[chosen])
        for nuisance in self.recipe.nuisances:
            batch = nuisance(batch, generator=self.chance)
        return batch.to(self.recipe.device)

    def _lower(self, images: Tensor, noise: Tensor, weights: Weights | None, rho: Tensor) -> Tensor:
        """Binary cross-entropy on normal images and their pseudo-anomalies at rho, differentiable in both."""
        pseudo = self.augmentation.apply(images, noise, self.augmentation.natural(rho))
        if rho.requires_grad and not pseudo.requires_grad:
            raise SettingError(
                f"{self.augmentation.name} passes no gradient to its magnitudes: the hypergradient would leave out, "
                "without a word, how they act through the detector."
            )
        both = torch.cat([images, pseudo])
        target = torch.cat([torch.zeros(len(images)), torch.ones(len(images))]).to(both)
        logits = (
            self.network(both)[1] if weights is None else functional_call(self.network, self._named(weights), both)[1]
        )
        return binary_cross_entropy_with_logits(logits, target)

    def _named(self, weights: Weights) -> dict[str, Tensor]:
        return dict(zip((name for name, _ in self.network.named_parameters()), weights, strict=True))

    def _plain_step(self, rho: Tensor) -> None:
        images = self._batch(self.normals, self.recipe.batch)
        noise = self.augmentation.draw(images, generator=self.chance)
        loss = self._lower(images, noise, None, rho)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()

    def hypergradient(self, rho: Tensor) -> Hypergradient:
        """Draw fresh images and noise and differentiate L_val with respect to rho."""
        recipe = self.recipe
        images = self._batch(self.normals, recipe.batch)
        clean, changed = self._batch(self.normals, recipe.sample), self._batch(self.normals, recipe.sample)
        pool = self._batch(self.unlabelled, recipe.sample)
        inner = self.augmentation.draw(images, generator=self.chance)
        outer = self.augmentation.draw(changed, generator=self.chance)

        def upper(weights: Weights, v: Tensor) -> Tensor:
            pseudo = self.augmentation.apply(changed, outer, self.augmentation.natural(v))
            joint = torch.cat([clean, pseudo, pool])
            embeddings = functional_call(self.network, self._named(weights), joint)[0]
            return LOSSES[recipe.loss](*embeddings.split(recipe.sample))

        derive = unrolled if recipe.order == "second" else first_order
        weights = tuple(self.network.parameters())
        return derive(lambda w, v: self._lower(images, inner, w, v), upper, weights, rho, rates=self._scaled_rates())

    def _scaled_rates(self) -> list[Tensor | float]:
        """Adam's step size per weight, as a constant: alpha / (sqrt(second moment) + eps)."""
        rates: list[Tensor | float] = []
        for weight in self.network.parameters():
            state = self.optimiser.state.get(weight)
            if not state:
                rates.append(self.recipe.rate)
                continue
            corrected = state["exp_avg_sq"] / (1 - 0.999 ** float(state["step"]))
            rates.append(self.recipe.rate / (corrected.sqrt() + 1e-4))
        return rates

    @torch.no_grad()
    def _judge(self, rho: Tensor) -> Tuned:
        images = self._batch(self.normals, min(256, 4 * len(self.normals)))
        noise = self.augmentation.draw(images, generator=self.chance)
        pseudo = self.augmentation.apply(images, noise, self.augmentation.natural(rho))
        normal = self.network(images)[1].cpu().numpy()
        separability = auroc(normal, self.network(pseudo)[1].cpu().numpy())
        pool = self.network(self._batch(self.unlabelled, min(512, 4 * len(self.unlabelled))))[1].cpu().numpy()
        variance = float(((pool - normal.mean()) / max(float(normal.std()), 1e-9)).var())
        change = float((pseudo - images).abs().amax())
        magnitudes = self._magnitudes(rho)
        if change < VISIBLE or separability < SEPARABLE:
            note = (
                f"ended where pseudo-anomalies cannot be told from normal images (AUROC {separability:.2f}, "
                f"largest change {255 * change:.1f} of 255 grey levels)"
            )
            return Tuned(magnitudes, "identity", note, separability, variance)
        return Tuned(magnitudes, "ok", "", separability, variance)


def _adam(rho: Tensor, gradient: Tensor, moments: list[Tensor], update: int, step_size: Tensor) -> Tensor:
    """Return rho after one step of Adam (Kingma & Ba 2015, algorithm 1) with a step size per element."""
    moments[0] = 0.9 * moments[0] + 0.1 * gradient
    moments[1] = 0.99 * moments[1] + 0.01 * gradient**2
    first = moments[0] / (1 - 0.9 ** (update + 1))
    second = moments[1] / (1 - 0.99 ** (update + 1))
    return rho - step_size * first / (second.sqrt() + 1e-12)
