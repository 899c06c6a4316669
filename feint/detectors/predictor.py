"""The augmentation predictor: a classifier that tells what was done to an image, and errs where the image is odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, log_softmax, nll_loss

from feint.core.augmentation import Policy, PseudoAnomalies
from feint.core.detector import Detector, Log, Scorer, as_unit, check_settings, finite, thinned
from feint.core.errors import SettingError
from feint.core.streams import seed_of, stream
from feint.detectors.density import PositionDensity, upsample
from feint.networks.conv import GROUPS, ConvEncoder
from feint.networks.wide_resnet import WideResNet

Net = Literal["wrn10-4", "small"]
ScoreName = Literal["nll", "dirichlet"]
MAP_STAGE = 1
MAP_SIDE = 32
CHUNK = 64
MOST_FITTED = 1000
ITERATIONS = 1000
FARTHEST = 5.0
TOLERANCE = 1e-7


@final
class PredictorScorer(Scorer):
    """How badly the predictor tells what was done to an image, by two measures; `score` names that of `forward`.

    The image is shown in views v of class l_v and weight w_v: with K outcomes, each of them at 1/K; otherwise the image
    itself at 1/2, and several augmented ones that share the other half; with pseudo-anomalies that are other images
    (`Exposure`), nothing but the image itself.

        nll:        - sum_v w_v log p_{l_v}(v)
        dirichlet:  - sum_v w_v sum_j (alpha_{l_v, j} - 1) log p_j(v)

    where the Dirichlet distribution of parameter alpha_l is that of the predictions for normal images in views of class
    l. The noise of augmented views is drawn once, the same for every image and seed, and part of the `state_dict`.

    The anomaly map explains neither score: it is the density per position of the predictor's second map for the
    image itself, averaged to at most 32 x 32 positions.
    """

    alpha: Tensor
    noise: Tensor
    magnitudes: Tensor

    def __init__(self, channels: int, size: tuple[int, int], *, policy: PseudoAnomalies, recipe: AP) -> None:
        super().__init__(channels, size)
        self.score: ScoreName = recipe.score
        self.policy = policy
        self.classes = policy.outcomes or 2
        self.encoder: WideResNet | ConvEncoder = (WideResNet if recipe.net == "wrn10-4" else ConvEncoder)(
            channels, width=recipe.width
        )
        self.head = nn.Linear(self.encoder.embedding_size, self.classes)
        self.register_buffer("alpha", torch.ones(self.classes, self.classes))
        if policy.outcomes is None and isinstance(policy, Policy):
            blank = torch.zeros(recipe.draws, channels, *size)
            noise, magnitudes = policy.draw(blank, generator=stream(0, "evaluation"))
            self.register_buffer("noise", noise)
            self.register_buffer("magnitudes", magnitudes)
        with torch.no_grad():
            stage = self._stage(torch.zeros(1, channels, *size)).shape
        self.position = PositionDensity(stage[1], (stage[2], stage[3]))

    def predict(self, images: Tensor) -> Tensor:
        """Return log p (n, K) of what was done to each of `images` (n, c, h, w)."""
        return log_softmax(self.head(self.encoder(images)), dim=1)

    def views(self, images: Tensor) -> Iterator[tuple[int, float, Tensor]]:
        """Yield the class, the weight and the images (n, c, h, w) of every view of `images`; the weights sum to 1."""
        n = len(images)
        if self.policy.outcomes is not None:
            for k in range(self.classes):
                yield k, 1 / self.classes, self.policy.outcome(images, torch.full((n,), k, device=images.device))
        elif isinstance(self.policy, Policy):
            yield 0, 1 / 2, images
            for noise, magnitudes in zip(self.noise, self.magnitudes, strict=True):
                view = self.policy.augmentation.apply(images, noise.expand(n, -1), magnitudes)
                yield 1, 1 / (2 * len(self.noise)), view
        else:
            yield 0, 1.0, images

    def all_scores(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return both scores (n,), higher = more anomalous, for images (n, c, h, w) in [0, 1], from the same passes."""
        self._check(images)
        nll, dirichlet = torch.zeros(2, len(images), device=images.device)
        for k, weight, view in self.views(images):
            log_p = self.predict(view)
            nll = nll - weight * log_p[:, k]
            dirichlet = dirichlet - weight * (log_p * (self.alpha[k] - 1)).sum(1)
        return {"nll": nll, "dirichlet": dirichlet}

    def _scores(self, images: Tensor) -> Tensor:
        return self.all_scores(images)[self.score]

    def _embeddings(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.encoder(images)
        return embeddings

    def _stage(self, images: Tensor) -> Tensor:
        found = self.encoder.maps(images)[MAP_STAGE]
        return adaptive_avg_pool2d(found, (min(found.shape[2], MAP_SIDE), min(found.shape[3], MAP_SIDE)))

    def _maps(self, images: Tensor) -> Tensor:
        return upsample(self.position(self._stage(images)), self.size)

    @torch.no_grad()
    def fit_densities(self, normals: Tensor) -> None:
        """Fit alpha and the map's density on normal images (n, c, h, w), uint8; on 1,000 evenly spaced ones of more."""
        normals = thinned(normals, MOST_FITTED)
        device = self.alpha.device
        sums, counts = torch.zeros(self.classes, self.classes, dtype=torch.float64), torch.zeros(self.classes, 1)
        stages = []
        for chunk in torch.split(normals, CHUNK):
            images = as_unit(chunk).to(device)
            stages.append(self._stage(images))
            for k, _, view in self.views(images):
                sums[k] += self.predict(view).double().sum(0).cpu()
                counts[k] += len(view)
        seen = counts[:, 0] > 0
        self.alpha[seen] = fit_dirichlet(sums[seen] / counts[seen]).to(self.alpha)
        self.position.fit(torch.cat(stages))


@final
@dataclass(frozen=True, kw_only=True)
class AP(Detector[PredictorScorer]):
    r"""A classifier learns what was done to normal images; where it errs, the image is none of them.

        L = - sum_x (1/K) sum_k log p_k(phi_k(x)),   estimated with one k, drawn uniformly, for each x of a batch
        score(x): see `PredictorScorer`

    With finitely many outcomes (rotate 4, flip 2, invert 2, GEOM 72) it learns which; otherwise, whether an
    image was augmented. A step sees `batch` images whatever K, so that the number of steps does not depend on it.

    Args:
        net: "wrn10-4", for images of about 32 px, or "small", a `ConvEncoder`. width: channels of its first stage.
        epochs: passes over the normal images; batch: images a step. rate: of Adam.
        draws: augmented views an image is scored by, where outcomes are not finitely many.
        score: which score the scorer returns; "nll" is the simplified one.
        device: where the training runs; images stay where they are.

    Fails when: an outcome leaves normal images as they are (parts that look the same at any angle): nothing can be told
    then of them or of anomalies, and the score is ln K for all.
    Cost: epochs * n passes forward and backward; K or 1 + draws forward passes an image scored.
    References: Golan, El-Yaniv (NeurIPS 2018), arXiv:1805.10917, section 5.2 and the simplified score of 5.1;
    Minka (2000), Estimating a Dirichlet distribution, equation 9.
    Deviations: GroupNorm; as many steps for every K (200 epochs over originals, where GEOM has ceil(200 / K) over
    all outcomes); Dirichlet fitted on at most 1,000 images; the binary form is for augmentations that GEOM has not.
    """

    SCORES: ClassVar[tuple[ScoreName, ...]] = get_args(ScoreName)

    net: Net = "wrn10-4"
    width: int = 16
    epochs: int = 200
    batch: int = 128
    rate: float = 1e-3
    draws: int = 8
    score: ScoreName = "nll"
    device: str = "cpu"

    def __post_init__(self) -> None:
        allowed = {
            "net": self.net in get_args(Net),
            "width": self.width >= GROUPS and self.width % GROUPS == 0,
            "epochs": self.epochs >= 0,
            "batch": self.batch >= 1,
            "rate": self.rate > 0,
            "draws": self.draws >= 1,
            "score": self.score in self.SCORES,
        }
        rules = (
            f"net is one of {', '.join(get_args(Net))}, width a multiple of {GROUPS}, epochs at least 0, batch and "
            f"draws at least 1, rate above 0, score one of {', '.join(self.SCORES)}"
        )
        check_settings(self, allowed, rules)

    def scorer(self, channels: int, size: tuple[int, int], *, policy: PseudoAnomalies) -> PredictorScorer:
        """Return an empty scorer of this recipe, into which a saved state can be loaded."""
        return PredictorScorer(channels, size, policy=policy, recipe=self)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> PredictorScorer:
        if policy is None or policy.outcomes == 1:
            raise SettingError("AP predicts what was done to an image: give a policy that does something.")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "weights"))
            scorer = self.scorer(normals.shape[1], (normals.shape[2], normals.shape[3]), policy=policy)
        scorer.to(self.device)
        self._train(scorer, normals, seed, log)
        scorer.eval().requires_grad_(requires_grad=False)
        scorer.fit_densities(normals)
        return scorer

    def _train(self, scorer: PredictorScorer, normals: Tensor, seed: int, log: Log) -> None:
        optimiser = torch.optim.Adam(scorer.parameters(), lr=self.rate)
        order, chance = stream(seed, "order"), stream(seed, "augment")
        step = 0
        for epoch in range(self.epochs):
            total = 0.0
            for chosen in torch.split(torch.randperm(len(normals), generator=order), self.batch):
                images = as_unit(normals[chosen])
                which = torch.randint(scorer.classes, (len(chosen),), generator=order)
                if scorer.policy.outcomes is None:
                    views = torch.where(
                        which[:, None, None, None] == 1, scorer.policy(images, generator=chance), images
                    )
                else:
                    views = scorer.policy.outcome(images, which)
                loss = nll_loss(scorer.predict(views.to(self.device)), which.to(self.device))
                total += finite(loss, step) * len(chosen)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                step += 1
            log(epoch, total / len(normals))


def fit_dirichlet(mean_log: Tensor) -> Tensor:
    """Return the maximum-likelihood alpha (m, K) of m Dirichlet distributions, from the means (m, K) of their log p.

        psi(alpha_j) = psi(sum_i alpha_i) + mean log p_j

    is iterated from alpha = 1, each time with one Newton step on log alpha in place of the inverse of psi; at most
    1,000 times, so that alpha stays finite where all p are the same.

    References: Minka (2000), Estimating a Dirichlet distribution, equation 9.
    """
    alpha = torch.ones_like(mean_log)
    for _ in range(ITERATIONS):
        wanted = torch.digamma(alpha.sum(1, keepdim=True)) + mean_log
        step = (wanted - torch.digamma(alpha)) / (alpha * torch.polygamma(1, alpha))
        alpha = alpha * step.clamp(-FARTHEST, FARTHEST).exp()
        if float(step.abs().max()) < TOLERANCE:
            break
    return alpha
