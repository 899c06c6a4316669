"""ST-SSAD as a detector: tune one augmentation's magnitudes from several starts, then train at the best ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, final, get_args

import torch
from torch import Tensor

from feint.augmentations import AUGMENTATIONS
from feint.core.augmentation import Augmentation, Policy
from feint.core.detector import Log, PoolDetector, Scorer, check_settings
from feint.core.errors import CollapseError
from feint.detectors.discriminator import SCORES, Discriminator, DiscriminatorScorer, ScoreName
from feint.networks.conv import GROUPS
from feint.tuning.losses import LossName
from feint.tuning.selftuning import SelfTuner, Tuned

TUNABLE = tuple(name for name, augmentation in AUGMENTATIONS.items() if augmentation.starts)
TAIL = 4


@dataclass(frozen=True)
class Path:
    """One start: where it ended, and on the way there L_val (updates,) and the magnitudes (updates, m) after each."""

    tuned: Tuned
    losses: Tensor
    magnitudes: Tensor

    @property
    def loss(self) -> float:
        """L_val, the mean over the last quarter of the path, over which the magnitudes are averaged too."""
        return float(self.losses[-max(1, len(self.losses) // TAIL) :].mean())


@dataclass(frozen=True)
class Tuning:
    """The path of every start of the tuned `augmentation`, in the order of the starts, and which start was chosen."""

    augmentation: Augmentation
    paths: tuple[Path, ...]
    chosen: int

    @property
    def magnitudes(self) -> dict[str, float]:
        """The tuned magnitudes by name."""
        return self.paths[self.chosen].tuned.magnitudes

    @property
    def policy(self) -> Policy:
        """The augmentation at the tuned magnitudes."""
        at = tuple(self.magnitudes[each.name] for each in self.augmentation.magnitudes)
        return Policy(augmentation=self.augmentation, low=at, high=at)


@final
class TunedScorer(Scorer):
    """A discriminator at tuned magnitudes; `tuning` tells how they were found and is no part of its state."""

    def __init__(self, detector: DiscriminatorScorer, tuning: Tuning) -> None:
        super().__init__(detector.channels, detector.size)
        self.detector = detector
        self.score: str = detector.score
        self.tuning = tuning

    def all_scores(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return every score (n,), higher = more anomalous, for images (n, c, h, w) in [0, 1], from one pass."""
        return self.detector.all_scores(images)

    def _scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self.detector(images)
        return scores

    def _embeddings(self, images: Tensor) -> Tensor:
        return self.detector.embed(images)

    def _maps(self, images: Tensor) -> Tensor:
        return self.detector.map(images)


@final
@dataclass(frozen=True, kw_only=True)
class STSSAD(PoolDetector[TunedScorer]):
    r"""Tunes an augmentation's magnitudes against unlabelled images from several starts, and trains at the best ones.

        a* = the end a of the start with the largest S,   S = 1/n sum_i (s_i - mean(s))^2

    S is the variance of the detector's logits on the unlabelled images, in units of the normal images'; of equal ones
    the start with the lower L_val is taken. Starts whose pseudo-anomalies end up like normal images count only if all
    do. Then a discriminator is trained at a* from scratch.

    Args:
        augmentation: which one to tune, a name of the catalogue: one that is differentiable and has starts.
        starts: how many of its starts are tried, evenly spread over those that it declares.
        loss: L_val, by its name in `feint.tuning.losses.LOSSES`; order: of the hypergradient; both for the ablation.
        warm_start, updates, between, batch, sample, rate, magnitude_rate, turn_rate: budget and rates of the tuner,
            see `SelfTuner`.
        steps: of the last training.
        width, depth: of both encoders.
        score: of the last detector; the paper's is the density of the last embedding.
        device: where trainings run; images stay where they are.

    Raises: CollapseError where every start collapsed.
    Fails when: as `Discriminator`; and a strong augmentation unlike the anomalies can have a large S too.
    Cost: starts * (warm_start + updates * (between + 8)) + steps plain steps of a discriminator.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, sections 3 and 4.
    Deviations: those of `SelfTuner` and `Discriminator`; the last training starts afresh; S is standardised, since the
    scores of different starts have different scales.
    """

    augmentation: str = "cutdiff"
    starts: int = 4
    loss: LossName = "mean-distance"
    order: Literal["second", "first"] = "second"
    warm_start: int = 60
    updates: int = 120
    between: int = 2
    batch: int = 32
    sample: int = 64
    rate: float = 2e-3
    magnitude_rate: float = 0.08
    turn_rate: float = 0.012
    steps: int = 600
    width: int = 16
    depth: int = 4
    score: ScoreName = "gaussian"
    device: str = "cpu"

    def __post_init__(self) -> None:
        most = len(AUGMENTATIONS[self.augmentation].starts) if self.augmentation in TUNABLE else 1
        allowed = {
            "augmentation": self.augmentation in TUNABLE,
            "starts": 1 <= self.starts <= most,
            "loss": self.loss in get_args(LossName),
            "order": self.order in {"first", "second"},
            "warm_start": self.warm_start >= 0,
            "updates": self.updates >= 1,
            "between": self.between >= 0,
            "batch": self.batch >= 1,
            "sample": self.sample >= 2,
            "steps": self.steps >= 1,
            "width": self.width >= GROUPS and self.width % GROUPS == 0,
            "depth": self.depth >= 2,
            "score": self.score in SCORES,
        }
        rules = (
            f"augmentation is one of {', '.join(TUNABLE)}, starts are at least 1 and at most those it declares, loss "
            f"is one of {', '.join(get_args(LossName))}, order first or second, updates, batch and steps are at least "
            f"1, sample and depth at least 2, width is a multiple of {GROUPS}, score one of {', '.join(SCORES)}"
        )
        check_settings(self, allowed, rules)

    def tune(self, normals: Tensor, unlabelled: Tensor, *, seed: int, log: Log) -> Tuning:
        """Return the path of every start on uint8 images (n, c, h, w), and which one is chosen; see the class."""
        tuner = SelfTuner(
            width=self.width,
            depth=self.depth,
            warm_start=self.warm_start,
            updates=self.updates,
            between=self.between,
            batch=self.batch,
            sample=self.sample,
            rate=self.rate,
            magnitude_rate=self.magnitude_rate,
            turn_rate=self.turn_rate,
            loss=self.loss,
            order=self.order,
            device=self.device,
        )
        augmentation = AUGMENTATIONS[self.augmentation]()
        run = partial(tuner.run, normals, unlabelled, augmentation=augmentation, seed=seed)
        paths = [_path(run, start, log) for start in spread(augmentation, self.starts)]
        return Tuning(augmentation, tuple(paths), chosen(paths))

    def _fit(self, normals: Tensor, unlabelled: Tensor, seed: int, log: Log) -> TunedScorer:
        tuning = self.tune(normals, unlabelled, seed=seed, log=log)
        detector = Discriminator(
            width=self.width, depth=self.depth, steps=self.steps, batch=self.batch, score=self.score, device=self.device
        )
        return TunedScorer(detector.fit(normals, policy=tuning.policy, seed=seed, log=log), tuning).eval()


def _path(run: Callable[..., Tuned], start: dict[str, float], log: Log) -> Path:
    losses: list[float] = []
    magnitudes: list[list[float]] = []

    def follow(step: int, loss: float, lower: float, at: dict[str, float]) -> None:
        losses.append(loss)
        magnitudes.append(list(at.values()))
        log(step, lower)

    tuned = run(start=start, log=follow)
    return Path(tuned, torch.tensor(losses), torch.tensor(magnitudes))


def spread(augmentation: Augmentation, count: int) -> list[dict[str, float]]:
    """Return `count` of an augmentation's starts, the middle ones of as many equal parts.

    Example:
        >>> from feint.augmentations import Rotation
        >>> [each["angle"] for each in spread(Rotation(), 4)]
        [60.0, 150.0, 210.0, 300.0]
    """
    starts = augmentation.starts
    return [starts[(2 * i + 1) * len(starts) // (2 * count)] for i in range(count)]


def chosen(paths: list[Path]) -> int:
    """Return the number of the path with the largest S, of equal ones that with the lower L_val; see `STSSAD`.

    Raises: CollapseError where all collapsed.
    """
    for status in ("ok", "identity"):
        mine = [i for i, path in enumerate(paths) if path.tuned.status == status]
        if mine:
            return max(mine, key=lambda i: (paths[i].tuned.variance, -paths[i].loss))
    raise CollapseError(f"all {len(paths)} starts of the tuner collapsed, the first because {paths[0].tuned.note}")
