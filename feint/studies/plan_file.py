"""Plans in TOML files: read strictly, and checked whole before anything runs."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from feint.core.errors import InputError, SettingError
from feint.studies.plan import (
    ArmsTable,
    DataTable,
    Hypothesis,
    Plan,
    Rules,
    StudyTable,
    Table,
    catalogue,
    check_augmentation,
    recipe_of,
    settings_of,
)
from feint.studies.wild_plan import PRETRAINING, PretrainingTable, WildData, WildPlan, WildStudyTable

T = TypeVar("T", DataTable, WildData)


def read_plan(path: str | Path) -> Plan | WildPlan:
    """Return the plan in the TOML file `path`; its own paths are relative to its folder, or to the current one.

    A plan with a table `[pretraining]` is one of representations.

    Raises: InputError where the file cannot be read; SettingError that lists everything that is wrong in it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the plan {path} cannot be read: {error}.") from error
    return parse_plan(text, folder=path.parent)


def parse_plan(text: str, *, folder: Path, check_data: bool = True) -> Plan | WildPlan:
    """Return the plan that `text` (TOML) describes; see `read_plan`. Without `check_data` its data may be gone."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"the plan is no TOML: {error}.") from error
    kind: type[Plan] | type[WildPlan] = WildPlan if PRETRAINING in tables else Plan
    problems: list[str] = []
    plan: Plan | WildPlan | None = None
    try:
        plan = kind.model_validate(tables)
    except ValidationError as error:
        problems = [_told(each, kind) for each in error.errors()]
    if plan is not None and check_data:
        if isinstance(plan, WildPlan):
            plan = plan.model_copy(update={"data": [_placed(each, folder, problems) for each in plan.data]})
        else:
            plan = plan.model_copy(update={"data": [_placed(each, folder, problems) for each in plan.data]})
            problems += _problems(plan)
    if problems or plan is None:
        many = "is one thing" if len(problems) == 1 else f"are {len(problems)} things"
        raise SettingError(f"there {many} wrong in the plan:\n" + "\n".join(f"  - {each}" for each in problems))
    return plan


def _told(error: Any, plan: type[Table]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key{_suggestion(str(error['loc'][-1]), _keys(error['loc'][:-1], plan))}"
    if error["type"] == "missing":
        return f"{place}: this is missing"
    said = error["msg"].removeprefix("Value error, ")
    return f"{place}: {said[:1].lower()}{said[1:].removesuffix('.')}, got {error['input']!r}"


def _keys(place: tuple[int | str, ...], plan: type[Table]) -> list[str]:
    tables: dict[str, type[Table]] = {
        "study": StudyTable, "data": DataTable, "arms": ArmsTable, "rules": Rules, "hypotheses": Hypothesis,
    }  # fmt: skip
    if plan is WildPlan:
        tables = {"study": WildStudyTable, "data": WildData, PRETRAINING: PretrainingTable}
    return list((tables[str(place[0])] if place else plan).model_fields)


def _suggestion(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def _placed(table: T, folder: Path, problems: list[str]) -> T:
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
    names = [each.name for each in plan.data]
    problems = [f"data: {name!r} names two sets" for name in {n for n in names if names.count(n) > 1}]
    if len(set(plan.study.seeds)) < len(plan.study.seeds):
        problems.append(f"study.seeds: each seed once, got {plan.study.seeds}")
    for name in dict.fromkeys([*plan.arm_names(), *plan.detectors]):
        kind = plan.kind(name)
        if kind not in catalogue():
            problems.append(f"detector {name!r} is unknown{_suggestion(kind, list(catalogue()))}")
            continue
        unknown = [key for key in plan.detectors.get(name, {}) if key not in settings_of(kind) | {"kind"}]
        problems += [f"detectors.{name}.{k}: unknown key{_suggestion(k, sorted(settings_of(kind)))}" for k in unknown]
        if not unknown:
            problems += _caught(lambda kind=kind, name=name: recipe_of(kind, plan.settings(name)))
    of_all = {key for name in plan.arm_names() for key in settings_of(plan.kind(name))}
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
