"""What a study of representations under imbalance runs: the tables of its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from feint.augmentations.views import views_named
from feint.core.errors import FeintError
from feint.data.imbalance import NATURAL, Base, level_name
from feint.networks.architectures import TRANSFORMERS, full_name
from feint.pretraining import METHODS
from feint.studies.plan import Name, Table

PRETRAINING = "pretraining"
REFERENCES = ("untrained", "supervised", "supervised-weighted")
Share = Annotated[float, Field(ge=0, lt=1)] | Literal["natural"]


class WildStudyTable(Table):
    """`[study]`: the study's name and its seeds; each seed divides the images anew, and draws all else."""

    name: str = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


class WildData(Table):
    """One `[[data]]`: labelled images, see `feint.data.labelled.labelled_images`, and which classes are normal in turn.

    `size`: side in pixels. `views`: those of this set, where they are not `[pretraining]`'s. `most`: at most so many
    normal and so many anomalous images are used.
    """

    name: str = Field(min_length=1)
    path: Path | None = None
    root: Path | None = None
    normal: list[Name] = Field(default=[])
    size: int = Field(default=64, ge=16, le=512)
    views: str | None = None
    most: int | None = Field(default=None, ge=20)


class PretrainingTable(Table):
    """`[pretraining]`: arms METHOD/ENCODER and references NAME/ENCODER; levels of contamination; one budget for all.

    `levels` are shares of anomalies among the images that are pretrained on, of all or of the normal ones (`base`).
    The probe is fitted on the same share unless `probe_level` says otherwise. `total`: images of each training set;
    by default as many as every level can have. `steps` x `batch` images are seen in every cell.
    """

    arms: list[str] = Field(min_length=1)
    levels: list[Share] = Field(min_length=1)
    base: Base = "total"
    probe_level: Share | None = None
    total: int | None = Field(default=None, ge=20)
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=64, ge=2)
    views: str = "defect"
    test_share: float = Field(default=0.3, gt=0, lt=0.9)
    validation_share: float = Field(default=0.1, gt=0, lt=0.5)

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: list[str]) -> list[str]:
        for arm in arms:
            method, _, encoder = arm.partition("/")
            if method not in METHODS and method not in REFERENCES:
                raise ValueError(
                    f"{arm!r} must be METHOD/ENCODER: the methods are {', '.join([*METHODS, *REFERENCES])}"
                )
            full_name(encoder, (64, 64))
        return list(dict.fromkeys(arms))

    def applicable(self) -> tuple[list[str], list[str]]:
        """Return the arms that can be run, and sentences on those that cannot."""
        found, left_out = [], []
        for arm in self.arms:
            method, _, encoder = arm.partition("/")
            masked = method in METHODS and METHODS[method].transformers_only
            if masked and encoder.partition("/")[0] not in TRANSFORMERS:
                left_out.append(f"{arm}: not applicable, it hides patches and needs an encoder of patch tokens")
            else:
                found.append(arm)
        return found, left_out

    def level_names(self) -> list[str]:
        """Return the levels as they are written."""
        return [level if level == NATURAL else level_name(level) for level in self.levels]


class WildPlan(Table):
    """A whole plan of such a study."""

    study: WildStudyTable
    data: list[WildData] = Field(min_length=1)
    pretraining: PretrainingTable


def wild_problems(plan: WildPlan) -> list[str]:
    """Return everything that is wrong in a plan whose tables are well formed."""
    names, seeds = [each.name for each in plan.data], plan.study.seeds
    problems = [f"data: {name!r} names two sets" for name in {n for n in names if names.count(n) > 1}]
    if len(set(seeds)) < len(seeds):
        problems.append(f"study.seeds: each seed once, got {seeds}")
    for views in dict.fromkeys([plan.pretraining.views, *(each.views for each in plan.data if each.views)]):
        try:
            views_named(views)
        except FeintError as error:
            problems.append(str(error))
    if not plan.pretraining.applicable()[0]:
        problems.append("pretraining.arms: none of them is applicable")
    return problems
