"""The detector without unlabelled images: nothing to choose by, so the fixed default, fitted and calibrated."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from feint.backends import available_cores
from feint.calibration.conformal import minimum_images, smallest_rate
from feint.core.detector import Scorer, score_images
from feint.core.errors import SettingError
from feint.core.streams import seed_of
from feint.data import ImageSet, decode, plan_preprocessing, survey
from feint.detectors.committee import Committee, unit_of
from feint.records.run import PreprocessingRecord
from feint.runs.candidates import default_rows, planned
from feint.runs.committee_jobs import MAPPED, map_unit_of
from feint.runs.estimator_inputs import refuse_unreadable
from feint.runs.judging import Judged, map_scale_of, ranked
from feint.runs.model import Member, Model, pixel_scores
from feint.runs.preparing import groups_of, refuse_too_few, typical_side
from feint.runs.recipes import Recipe, Voters
from feint.runs.settings import BUDGETS, DEFAULT_RATE, TuneSettings
from feint.runs.splits import Rotation, divide, halves


def fit_default(images: ImageSet, settings: TuneSettings) -> tuple[Model, Judged]:
    """Return the default committee with its calibration, and what it says of the normal images it was fitted on.

    60 % of the images train, 20 % give the voters a common unit, 20 % calibrate, in five rotations where there are
    fewer than 100 or the false-alarm rate asks for more: see `feint.runs.splits.divide`. The training images are judged
    by detectors that were not trained on them: those of the other rotations, or one for each half of them.

    Raises: InputError, UnsupportedRateError, SettingError for settings that only unlabelled images give a meaning.
    Cost: a final training of each voter, times a third and more where images are few; no search and no candidates.
    """
    if settings.encoder is not None:
        raise SettingError(
            f"encoder = {settings.encoder!r} makes candidates, and candidates are weighed by unlabelled images: "
            "give unlabelled, or leave encoder out."
        )
    workers = available_cores()
    found = survey(images, workers=workers)
    budget = BUDGETS[settings.budget].at(settings.image_size, largest=typical_side(found))
    plans = planned(settings, budget)
    plans = [plans[i] for i in default_rows(plans)]
    plans = plans[:1] if settings.single else plans
    px = max(plan.px for plan in plans)
    preprocessing = plan_preprocessing(found, image_size=px)
    decoded = decode(images, [preprocessing], workers=workers)
    refuse_unreadable(decoded)
    needed = minimum_images(settings.false_alarm_rate) if settings.false_alarm_rate else 1
    refuse_too_few(decoded, needed)
    groups = groups_of(decoded)
    rotations = divide(groups, needed=needed, seed=settings.seed)
    steps = budget.shared_by(len(rotations)).final_steps
    recipes = [plan.recipe.trained_for(steps).seen_from(px // plan.px) for plan in plans]
    return _Fit(decoded.pixels[0], preprocessing, recipes, settings).fitted(rotations, groups, steps)


class _Fit:
    """What every fit of one default detector shares: pixels (n, c, h, w), uint8, recipes and settings."""

    def __init__(
        self, pixels: np.ndarray, preprocessing: PreprocessingRecord, recipes: list[Recipe], settings: TuneSettings
    ) -> None:
        self.pixels, self.preprocessing, self.recipes, self.settings = pixels, preprocessing, recipes, settings

    def fitted(self, rotations: list[Rotation], groups: list[int], steps: int) -> tuple[Model, Judged]:
        """Return the model of all rotations, and what it says of all normal images."""
        members = tuple(self._member(r, roles) for r, roles in enumerate(rotations))
        maps = [
            each.maps(self.pixels[roles.calibration[:MAPPED]]) for each, roles in zip(members, rotations, strict=True)
        ]
        n = sum(len(each.calibration) for each in members)
        rate = self.settings.false_alarm_rate or max(DEFAULT_RATE, smallest_rate(n))
        model = Model(members=members, mode="false_alarm_rate", rate=rate, map_scale=map_scale_of(maps))
        judged = [(roles.calibration, each.calibration) for roles, each in zip(rotations, members, strict=True)]
        if len(rotations) == 1:
            judged += self._audited(rotations[0], groups, max(1, steps // 3))
        return model, ranked(model, judged, len(self.pixels))

    def _member(self, r: int, roles: Rotation) -> Member:
        """Return the committee of one rotation with its calibration scores."""
        training, selection = self._rows(roles.training), self._rows(roles.selection)
        voters = [self._scorer(recipe, training, "default", r, k) for k, recipe in enumerate(self.recipes)]
        committee = Committee(
            voters,
            units=[unit_of(score_images(each, selection)) for each in voters],
            map_units=[map_unit_of(each, training[:MAPPED]) for each in voters],
        )
        calibration = pixel_scores(committee, self.pixels[roles.calibration]).astype(np.float64)
        return Member(committee, calibration, Voters(recipes=self.recipes), self.preprocessing)

    def _audited(self, roles: Rotation, groups: list[int], steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each half of the images that do not calibrate, scored by the first voter fitted on all others."""
        found = []
        for k, half in enumerate(halves(roles, groups, seed=self.settings.seed)):
            others = self._rows(np.setdiff1d(np.arange(len(self.pixels)), half))
            scorer = self._scorer(self.recipes[0].trained_for(steps), others, "audit", k)
            found.append((half, pixel_scores(scorer, self.pixels[half]).astype(np.float64)))
        return found

    def _scorer(self, recipe: Recipe, normals: Tensor, *names: str | int) -> Scorer:
        seed = seed_of(self.settings.seed, *names)
        return recipe.fit(normals, nuisances=self.settings.nuisances, device=self.settings.device, seed=seed).cpu()

    def _rows(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.pixels[rows])
