"""What a study runs: a plan in TOML, checked whole before anything runs, and the cells it stands for."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from feint.core.errors import InputError, SettingError

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
]


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Table(BaseModel):
    """Base of every table of a plan: strict keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyTable(Table):
    """`[study]`: the study's name and the seeds of its trainings."""

    name: str = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


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
        known = _fields_of(self.kind(name))
        general = {key: value for key, value in self.train.items() if key in known}
        own = {key: value for key, value in self.detectors.get(name, {}).items() if key != "kind"}
        return general | own


REFERENCE = {"dae": "ae", "ap": "ae", "deepsad": "deepsvdd", "discriminator": "ae"}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One detector with one augmentation on one data set."""

    detector: str
    augmentation: str
    data: str


def read_plan(path: str | Path) -> Plan:
    """Return the plan in the TOML file `path`; its own paths are relative to its folder, or to the current one.

    Raises: InputError where the file cannot be read; SettingError that lists everything that is wrong in it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the plan {path} cannot be read: {error}.") from error
    return parse_plan(text, folder=path.parent)


def parse_plan(text: str, *, folder: Path, check_data: bool = True) -> Plan:
    """Return the plan that `text` (TOML) describes; see `read_plan`. Without `check_data` its data may be gone."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"the plan is no TOML: {error}.") from error
    problems: list[str] = []
    try:
        plan = Plan.model_validate(tables)
    except ValidationError as error:
        problems = [_told(each) for each in error.errors()]
        plan = None
    if plan is not None and check_data:
        plan = plan.model_copy(update={"data": [_placed(each, folder, problems) for each in plan.data]})
        problems += _problems(plan)
    if problems or plan is None:
        many = "is one thing" if len(problems) == 1 else f"are {len(problems)} things"
        raise SettingError(f"there {many} wrong in the plan:\n" + "\n".join(f"  - {each}" for each in problems))
    return plan


def arms_of(plan: Plan) -> tuple[list[Arm], list[str]]:
    """Return the arms of a plan, each once, and sentences about the combinations that have no meaning."""
    found: dict[Arm, None] = {}
    left_out: dict[str, None] = {}
    for table in plan.arms:
        for name in table.detectors:
            wants = recipe_of(plan.kind(name), plan.settings(name)).pseudo_anomalies
            for augmentation in table.augmentations:
                if wants == "refused" and augmentation != "none":
                    left_out[f"{name} with {augmentation}: it learns from normal images alone"] = None
                elif wants != "refused" and augmentation == "none":
                    left_out[f"{name} with none: it learns from pseudo-anomalies"] = None
                else:
                    for data in table.data or [each.name for each in plan.data]:
                        found[Arm(detector=name, augmentation=augmentation, data=data)] = None
    return list(found), list(left_out)


def recipe_of(kind: str, settings: dict[str, Setting]) -> Any:
    """Return the detector `kind` of the catalogue with these settings; raises SettingError where they do not fit."""
    from feint.detectors import DETECTORS

    known = {field.name: field.default for field in fields(DETECTORS[kind])}  # type: ignore[arg-type]
    for name, value in settings.items():
        wanted = type(known.get(name))
        if wanted in {bool, int, float, str} and type(value) is not wanted and (wanted, type(value)) != (float, int):
            raise SettingError(f"{kind}: {name} must be of type {wanted.__name__}: got {value!r}.")
    return DETECTORS[kind](**settings)


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


def _fields_of(kind: str) -> set[str]:
    from feint.detectors import DETECTORS

    return {field.name for field in fields(DETECTORS[kind])} if kind in DETECTORS else set()  # type: ignore[arg-type]


def _told(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key{_suggestion(str(error['loc'][-1]), _keys(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{place}: this is missing"
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}, got {error['input']!r}"


def _keys(place: tuple[int | str, ...]) -> list[str]:
    tables: dict[str, type[Table]] = {
        "study": StudyTable, "data": DataTable, "arms": ArmsTable, "rules": Rules, "hypotheses": Hypothesis,
    }  # fmt: skip
    return list((tables[str(place[0])] if place else Plan).model_fields)


def _suggestion(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _placed(table: DataTable, folder: Path, problems: list[str]) -> DataTable:
    """Return the table with `path` and `name` filled in."""
    if (table.path is None) == (table.root is None):
        problems.append(f"data {table.name or '(no name)'}: give either path or root")
        return table
    given = table.path or table.root
    assert given is not None
    base = next((each for each in (folder / given.expanduser(), given.expanduser()) if each.exists()), None)
    if base is None:
        problems.append(f"data {table.name or given}: {given} does not exist")
        return table
    if table.root is not None:
        if not table.name:
            problems.append(f"data: name the set that is to be found in {given}")
            return table
        places = [base / f"{table.name}.npz", base / table.name, base]
        base = next(each for each in places if each.exists())
    return table.model_copy(update={"path": base, "root": None, "name": table.name or base.resolve().stem})


def _problems(plan: Plan) -> list[str]:
    """Return everything that is wrong in a plan whose tables are well formed."""
    from feint.detectors import DETECTORS

    names = [each.name for each in plan.data]
    problems = [f"data: {name!r} names two sets" for name in {n for n in names if names.count(n) > 1}]
    if len(set(plan.study.seeds)) < len(plan.study.seeds):
        problems.append(f"study.seeds: each seed once, got {plan.study.seeds}")
    for name in dict.fromkeys([*plan.arm_names(), *plan.detectors]):
        kind = plan.kind(name)
        if kind not in DETECTORS:
            problems.append(f"detector {name!r} is unknown{_suggestion(kind, list(DETECTORS))}")
            continue
        unknown = [key for key in plan.detectors.get(name, {}) if key not in _fields_of(kind) | {"kind"}]
        problems += [f"detectors.{name}.{k}: unknown key{_suggestion(k, sorted(_fields_of(kind)))}" for k in unknown]
        if not unknown:
            problems += _caught(lambda kind=kind, name=name: recipe_of(kind, plan.settings(name)))
    of_all = {key for name in plan.arm_names() for key in _fields_of(plan.kind(name))}
    problems += [
        f"train.{key}: no detector has it{_suggestion(key, sorted(of_all))}" for key in plan.train if key not in of_all
    ]
    for augmentation in dict.fromkeys(a for arms in plan.arms for a in arms.augmentations):
        problems += _caught(lambda augmentation=augmentation: check_augmentation(augmentation))
    for word, used in (
        *((f"arms.data {data!r}", data) for arms in plan.arms for data in arms.data),
        *((f"hypotheses {h.name}: data {data!r}", data) for h in plan.hypotheses for data in h.data),
    ):
        if used not in names:
            problems.append(f"{word} is no data set of this plan{_suggestion(used, names)}")
    known = plan.arm_names()
    for name, vanilla in plan.reference.items():
        problems += [
            f"reference: {each!r} is no detector of the arms{_suggestion(each, known)}"
            for each in (name, vanilla)
            if each not in known and each != "half"
        ]
    problems += [
        f"hypotheses {each.name}: {each.detector!r} is no detector of the arms{_suggestion(each.detector, known)}"
        for each in plan.hypotheses
        if each.detector not in known
    ]
    return problems


def _caught(call: Any) -> list[str]:
    try:
        call()
    except SettingError as error:
        return [str(error)]
    return []
