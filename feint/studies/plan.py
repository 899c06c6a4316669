"""What a study runs: the tables of a plan, and the arms they stand for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from feint.core.errors import SettingError

Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
Setting = bool | int | float | str
HypothesisName = Literal[
    "aligned-category-first",
    "aligned-augmentation-first",
    "misaligned-no-gain",
    "geometric-first",
    "local-and-elementwise-no-gain",
    "no-single-winner",
    "self-supervision-hurts",
    "tuned-beats-random",
]
TunePool = Literal["val", "test"]


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Table(BaseModel):
    """Base of every table of a plan: strict keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyTable(Table):
    """`[study]`: the study's name and the seeds of its trainings.

    `tune_pool` is for plans with a detector that learns from unlabelled images too. "val": it sees a random half of the
    task's test images, and every arm of the plan is judged on the other half; "test": it sees and is judged on all.
    """

    name: str = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    tune_pool: TunePool = "val"


class DataTable(Table):
    """`[data]`, or one `[[data]]` for each set: where images lie and what is to be told apart in them.

    Either `path` (a file or folder) or `root` (a folder that holds `name.npz`, `name/`, or the official files).
    `normal` are the classes or categories that play the normal one in turn, `anomalies` those that count as anomalies;
    empty: all. `seed` draws the subsets that the limits leave, the controlled anomalies and the injected ones.
    """

    name: str = ""
    path: Path | None = None
    root: Path | None = None
    tasks: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    normal: list[Name] = []
    anomalies: list[Name] = []
    size: int | None = Field(default=None, ge=16, le=1024)
    train_limit: int | None = Field(default=None, ge=2)
    test_limit: int | None = Field(default=None, ge=1)
    contamination: float = Field(default=0.0, ge=0, lt=1)
    anomaly_share: float | None = Field(default=None, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


class ArmsTable(Table):
    """`[arms]`, or several `[[arms]]`: every detector with every augmentation, on the named data sets (empty: all)."""

    detectors: list[str] = Field(min_length=1)
    augmentations: list[str] = Field(min_length=1)
    data: list[str] = []


class Hypothesis(Table):
    """`[[hypotheses]]`: one member of the family that is declared before the study runs; see `studies/findings.py`."""

    name: HypothesisName
    detector: str
    data: list[str] = []


class Rules(Table):
    """`[rules]`: tasks are left out of the statistics where the vanilla detector reaches this AUROC already."""

    exclude_vanilla_at_least: float | None = Field(default=None, gt=0.5, le=1)


class Plan(Table):
    """A whole plan. `[train]` sets fields of every detector that has them, `[detectors.NAME]` those of one.

    `[detectors.NAME]` with `kind = "dae"` makes an arm of its own out of a detector of the catalogue. `[reference]`
    names the vanilla counterpart of a detector where the usual one is not meant: a detector, or "half" (AUROC 0.5).
    """

    study: StudyTable
    data: Annotated[list[DataTable], BeforeValidator(_listed)] = Field(min_length=1)
    arms: Annotated[list[ArmsTable], BeforeValidator(_listed)] = Field(min_length=1)
    train: dict[str, Setting] = {}
    detectors: dict[str, dict[str, Setting]] = {}
    reference: dict[str, str] = {}
    rules: Rules = Rules()
    hypotheses: list[Hypothesis] = []

    def references(self) -> dict[str, str]:
        """Return the vanilla counterpart of every detector of the arms that has one."""
        usual = {name: REFERENCE[kind] for name in self.arm_names() if (kind := self.kind(name)) in REFERENCE}
        return usual | self.reference

    def arm_names(self) -> list[str]:
        """Return the detectors of all arms, each once."""
        return list(dict.fromkeys(name for arms in self.arms for name in arms.detectors))

    def kind(self, name: str) -> str:
        """Return the catalogue's name of the detector `name`."""
        return str(self.detectors.get(name, {}).get("kind", name))

    def settings(self, name: str) -> dict[str, Setting]:
        """Return the settings of the detector `name`, those of `[train]` among them."""
        known = settings_of(self.kind(name))
        general = {key: value for key, value in self.train.items() if key in known}
        own = {key: value for key, value in self.detectors.get(name, {}).items() if key != "kind"}
        return general | own

    def pool(self) -> TunePool | None:
        """Return `tune_pool`, or None where no detector of the arms learns from unlabelled images."""
        learns = any(learns_from_unlabelled(self.kind(name)) for name in self.arm_names())
        return self.study.tune_pool if learns else None


REFERENCE = {"dae": "ae", "ap": "ae", "deepsad": "deepsvdd", "discriminator": "ae", "st-ssad": "ae"}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One detector with one augmentation on one data set."""

    detector: str
    augmentation: str
    data: str


def arms_of(plan: Plan) -> tuple[list[Arm], list[str]]:
    """Return the arms of a plan, each once, and sentences about the combinations that have no meaning."""
    found: dict[Arm, None] = {}
    left_out: dict[str, None] = {}
    for table in plan.arms:
        for name in table.detectors:
            for augmentation in table.augmentations:
                if why := _senseless(plan.kind(name), plan.settings(name), augmentation):
                    left_out[f"{name} with {augmentation}: {why}"] = None
                else:
                    for data in table.data or [each.name for each in plan.data]:
                        found[Arm(detector=name, augmentation=augmentation, data=data)] = None
    return list(found), list(left_out)


def _senseless(kind: str, settings: dict[str, Setting], augmentation: str) -> str:
    """Return why a detector cannot be used with an augmentation; empty if it can."""
    from feint.tuning import TUNERS
    from feint.tuning.st_ssad import TUNABLE

    if kind in TUNERS:
        return "" if augmentation in TUNABLE else f"it tunes one of {', '.join(TUNABLE)}"
    wants = getattr(recipe_of(kind, settings), "pseudo_anomalies", "refused")
    if wants == "refused" and augmentation != "none":
        unlabelled = " and unlabelled" if learns_from_unlabelled(kind) else ""
        return f"it learns from normal{unlabelled} images alone"
    return "it learns from pseudo-anomalies" if wants != "refused" and augmentation == "none" else ""


def catalogue() -> dict[str, type[Any]]:
    """Return every detector that a study can run, by name, those that learn from unlabelled images among them."""
    from feint.detectors import DETECTORS, POOL_DETECTORS
    from feint.tuning import TUNERS

    return {**DETECTORS, **POOL_DETECTORS, **TUNERS}


def learns_from_unlabelled(kind: str) -> bool:
    """Return whether the detector `kind` of the catalogue is fitted on unlabelled images too; not if it is unknown."""
    from feint.core.detector import PoolDetector

    return issubclass(catalogue().get(kind, object), PoolDetector)


def settings_of_arm(plan: Plan, arm: Arm) -> dict[str, Setting]:
    """Return the settings of an arm's detector; one that tunes an augmentation is told which."""
    from feint.tuning import TUNERS

    told: dict[str, Setting] = {"augmentation": arm.augmentation} if plan.kind(arm.detector) in TUNERS else {}
    return plan.settings(arm.detector) | told


def recipe_of(kind: str, settings: dict[str, Setting]) -> Any:
    """Return the detector `kind` of the catalogue with these settings; raises SettingError where they do not fit."""
    recipe = catalogue()[kind]
    known = {field.name: field.default for field in fields(recipe)}
    for name, value in settings.items():
        wanted = type(known.get(name))
        if wanted in {bool, int, float, str} and type(value) is not wanted and (wanted, type(value)) != (float, int):
            raise SettingError(f"{kind}: {name} must be of type {wanted.__name__}: got {value!r}.")
    return recipe(**settings)


def check_augmentation(name: str) -> None:
    """Raise SettingError unless `name` is `none`, a policy of the catalogue or `oe-CLASS` (outlier exposure)."""
    from feint.augmentations.policies import policy_named

    if name != "none" and not name.startswith("oe-"):
        policy_named(name)


def category_of_augmentation(name: str) -> str:
    """Return the category of a plan's augmentation; `none` and outlier exposure are their own."""
    from feint.augmentations.policies import category_of

    if name == "none":
        return "none"
    return "outlier exposure" if name.startswith("oe-") else category_of(name)


def settings_of(kind: str) -> set[str]:
    """Return the names of the settings that a plan can give the detector `kind` of the catalogue; none if unknown."""
    from feint.tuning import TUNERS

    known = {field.name for field in fields(catalogue()[kind])} if kind in catalogue() else set()
    return known - {"augmentation"} if kind in TUNERS else known
