"""What a study of representations under imbalance runs: the tables of its plan."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from feint.augmentations.views import views_named
from feint.data.imbalance import NATURAL, Base, level_name
from feint.networks.architectures import TRANSFORMERS, patch_of
from feint.pretraining import METHODS
from feint.studies.plan import Name, Table

PRETRAINING = "pretraining"
REFERENCES = ("untrained", "supervised", "supervised-weighted")
ANY_SIZE = (64, 64)
MASKED_VIEWS = "mae"

T = TypeVar("T", bound=Hashable)


def _arm(arm: str) -> str:
    method, _, encoder = arm.partition("/")
    if method not in METHODS and method not in REFERENCES:
        raise ValueError(f"an arm is METHOD/ENCODER, the methods are {', '.join([*METHODS, *REFERENCES])}")
    patch_of(encoder, ANY_SIZE)
    return arm


def _views(name: str) -> str:
    views_named(name)
    return name


def _level(level: object) -> object:
    share = isinstance(level, int | float) and not isinstance(level, bool) and 0 <= level <= 1
    if not share and level != NATURAL:
        raise ValueError(f"a level is a share from 0 to 1, or {NATURAL!r}")
    return level


def _each_once(values: Sequence[T]) -> Sequence[T]:
    if twice := [each for each in dict.fromkeys(values) if values.count(each) > 1]:
        raise ValueError(f"give each once, {twice[0]!r} stands there {values.count(twice[0])} times")
    return values


def _check_top(level: object, info: ValidationInfo) -> None:
    if level == 1 and info.data.get("base") == "total":
        raise ValueError("a share of the total is below 1")


Arm = Annotated[str, AfterValidator(_arm)]
Views = Annotated[str, AfterValidator(_views)]
Share = Annotated[float | Literal["natural"], BeforeValidator(_level)]


class WildStudyTable(Table):
    """`[study]`: the study's name and its seeds; each seed divides the images anew, and draws all else."""

    name: str = Field(min_length=1)
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_each_once)]


class WildData(Table):
    """One `[[data]]`: labelled images, see `feint.data.labelled.labelled_images`, and which classes are normal in turn.

    `size`: side in pixels. `views`: those of this set, where they are not `[pretraining]`'s. `most`: at most so many
    normal and so many anomalous images are used.
    """

    name: str = Field(min_length=1)
    path: Path | None = None
    root: Path | None = None
    normal: Annotated[list[Name], AfterValidator(_each_once)] = Field(default=[])
    size: int = Field(default=64, ge=16, le=512)
    views: Views | None = None
    most: int | None = Field(default=None, ge=20)


class PretrainingTable(Table):
    """`[pretraining]`: arms METHOD/ENCODER and references NAME/ENCODER; levels of contamination; one budget for all.

    `levels` are shares of anomalies among the images that are pretrained on, of all or of the normal ones (`base`).
    The probe is fitted on the same share unless `probe_level` says otherwise. `total`: images of each training set;
    by default as many as every level can have. `steps` x `batch` images are seen in every cell.
    """

    arms: Annotated[list[Arm], Field(min_length=1), AfterValidator(_each_once)]
    base: Base = "total"
    levels: list[Share] = Field(min_length=1)
    probe_level: Share | None = Field(default=None, validate_default=True)
    total: int | None = Field(default=None, ge=20)
    steps: int = Field(default=1000, ge=1)
    batch: int = Field(default=64, ge=2)
    views: Views = "defect"
    test_share: float = Field(default=0.3, gt=0, lt=0.9)
    validation_share: float = Field(default=0.1, gt=0, lt=0.5)

    @field_validator("levels")
    @classmethod
    def _levels(cls, levels: list[Share], info: ValidationInfo) -> list[Share]:
        _each_once([level_name(level) for level in levels])
        for level in levels:
            _check_top(level, info)
        return levels

    @field_validator("probe_level")
    @classmethod
    def _probe(cls, level: Share | None, info: ValidationInfo) -> Share | None:
        if level == 0 or (level is None and 0 in info.data.get("levels", [])):
            raise ValueError("a probe needs anomalies: give a level above 0 for all probes")
        _check_top(level, info)
        return level

    @field_validator("validation_share")
    @classmethod
    def _pool_left(cls, share: float, info: ValidationInfo) -> float:
        if share + info.data.get("test_share", 0.0) >= 1:
            raise ValueError("the shares for testing and validation together must leave a pool")
        return share

    @field_validator("arms")
    @classmethod
    def _some_applicable(cls, arms: list[str]) -> list[str]:
        if not any(_is_applicable(arm) for arm in arms):
            raise ValueError("none of the arms is applicable, as mae hides patches and a ResNet has none")
        return arms

    def applicable(self) -> tuple[list[str], list[str]]:
        """Return the arms that can be run, and sentences on those that cannot."""
        left_out = [
            f"{arm}: not applicable, it hides patches and needs an encoder of patch tokens"
            for arm in self.arms
            if not _is_applicable(arm)
        ]
        return [arm for arm in self.arms if _is_applicable(arm)], left_out

    def sized_by(self) -> tuple[Share, ...]:
        """Return the levels that every training set must be able to have at its size; none where that is given."""
        if self.total is not None:
            return ()
        return tuple(dict.fromkeys([*self.levels, *([] if self.probe_level is None else [self.probe_level])]))

    def level_names(self) -> list[str]:
        """Return the levels as they are written."""
        return [level_name(level) for level in self.levels]


class WildPlan(Table):
    """A whole plan of such a study."""

    study: WildStudyTable
    data: list[WildData] = Field(min_length=1)
    pretraining: PretrainingTable

    @field_validator("data")
    @classmethod
    def _named_once(cls, data: list[WildData]) -> list[WildData]:
        _each_once([each.name for each in data])
        return data


def encoder_of(arm: str) -> str:
    """Return the encoder of METHOD/ENCODER."""
    return arm.partition("/")[2]


def _is_masked(method: str) -> bool:
    """Return whether a method hides patches, so that it needs an encoder of patch tokens and views of its own."""
    return method in METHODS and METHODS[method].transformers_only


def _is_applicable(arm: str) -> bool:
    return not _is_masked(arm.partition("/")[0]) or encoder_of(arm).partition("/")[0] in TRANSFORMERS


def views_of(arm: str, data: WildData, pretraining: PretrainingTable) -> str:
    """Return the name of the views with which an arm is trained, and judged, on a set."""
    return MASKED_VIEWS if _is_masked(arm.partition("/")[0]) else data.views or pretraining.views
