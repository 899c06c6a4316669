"""A small model in which every detector votes, for the tests of exports."""

import numpy as np
import torch
from small_runs import pictures

from feint.detectors import DETECTORS, POOL_DETECTORS
from feint.detectors.committee import Committee, unit_of
from feint.detectors.views import Viewed, seen
from feint.records.run import PreprocessingRecord
from feint.runs.model import Member, Model, pixel_scores
from feint.runs.recipes import Recipe, Voters, whole_range

ENCODER = {"width": 8, "depth": 3}
PLAIN = {
    "ae": {"features": 8, "hidden": 16, "epochs": 2, "batch": 20},
    "pixel-knn": {"k": 2},
    "feature-knn": ENCODER,
    "feature-gaussian": ENCODER | {"encoder_size": 48},
    "patch-knn": ENCODER | {"most": 60},
    "deepsvdd": {"width": 8, "epochs": 1, "pretrain_epochs": 1, "batch": 20},
}
TRAINED = {"discriminator": ENCODER | {"steps": 3}}
POOL = {"pool-classifier": ENCODER | {"steps": 3}, "pool-probe": ENCODER}
DETECTORS_VOTING = {**PLAIN, **TRAINED, **POOL}


def voters() -> list[torch.nn.Module]:
    """Return a fitted scorer of every detector that feint itself has, and both ways to look at an image."""
    normals = torch.from_numpy(pictures(range(40))[:, None])
    unlabelled = torch.from_numpy(pictures(range(100, 130), defects=10)[:, None])
    policy = whole_range("cutdiff").policy()
    fitted = [DETECTORS[name](**settings).fit(normals, policy=None, seed=0) for name, settings in PLAIN.items()]
    fitted += [DETECTORS[name](**settings).fit(normals, policy=policy, seed=0) for name, settings in TRAINED.items()]
    fitted += [POOL_DETECTORS[name](**settings).fit(normals, unlabelled, seed=0) for name, settings in POOL.items()]
    for way in ({"shrink": 2}, {"tiles": 2}):
        inner = DETECTORS["feature-knn"](**ENCODER).fit(seen(normals, **way), policy=None, seed=0)
        fitted.append(Viewed(inner, (32, 32), **way))
    return fitted


def model_of(members: list[torch.nn.Module], *, mode: str = "false_alarm_rate", rate: float = 0.1) -> Model:
    """Return the calibrated model in which `members` vote."""
    selection, calibration = (pictures(range(200 + k, 240 + k))[:, None] for k in (0, 40))
    committee = Committee(
        members,
        units=[unit_of(torch.from_numpy(pixel_scores(each, selection))) for each in members],
        map_units=[unit_of(each.map(torch.from_numpy(selection[:10]) / 255).flatten()) for each in members],
    )
    shape = PreprocessingRecord(channels=1, height=32, width=32, white=255)
    voting = Voters(recipes=[Recipe(detector="ae")] * len(members))
    member = Member(committee, pixel_scores(committee, calibration).astype(np.float64), voting, shape)
    return Model(members=(member,), mode=mode, rate=rate, map_scale=(0.0, 3.0))
