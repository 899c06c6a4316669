"""The report of a study: one HTML page that needs nothing but itself."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup

from feint.report import words
from feint.report.environment import environment
from feint.report.study import looks, marks, numbers, sentences, tables
from feint.report.study.analysis import comparisons
from feint.report.study.boards import Board, board
from feint.report.study.sweeps import sweeps

if TYPE_CHECKING:
    from feint.records.study import StudyRecord

HERE = Path(__file__).parent
NAMED = 60


def render(record: StudyRecord) -> str:
    """Return the report of a study as one self-contained HTML page: no network, no script, printable.

    Findings in words come first, then drawings, then tables; every table is also a CSV file inside the page. The same
    record gives the same page.

    Args:
        record: what the study has found; nothing in it needs to be complete.

    Cost: about 15 s for 420 tasks, 3 detectors, 13 augmentations and 5 seeds, and 1 s for each panel shown.
    """
    found = comparisons(record)
    boards = [board(each, categories=record.categories, identity=f"c{i}") for i, each in enumerate(found)]
    leading = [each for each in boards if each.comparison.leading]
    helped, hurt = looks.helped_and_hurt(record.panels)
    return (
        _environment()
        .get_template("study.html")
        .render(
            study=record,
            words=words,
            numbers=numbers,
            style=Markup(_style()),  # noqa: S704 our own files
            headline=sentences.headline([each.comparison for each in leading]),
            told=[sentences.told(each.comparison, categories=record.categories) for each in leading],
            against=sentences.against,
            detectors=_by_detector(boards),
            groups=list(marks.GROUP_MARKS.values()),
            helped=helped,
            hurt=hurt,
            sweeps=[each for one in leading for each in sweeps(one.comparison) if each.charts],
            absolute=tables.absolute(record),
            metrics=tables.metrics(record),
            failures=tables.failures(record),
            statuses=record.cells["status"].value_counts().to_dict(),
            task_names=_names(record, "task"),
            testbeds=_names(record, "testbed"),
            seeds=sorted(set(record.cells["seed"])),
            rule=_rule(record.plan),
            NAMED=NAMED,
        )
    )


def _by_detector(boards: list[Board]) -> dict[str, dict[str, list[Board]]]:
    """Return the boards by detector and testbed."""
    found: dict[str, dict[str, list[Board]]] = {}
    for each in boards:
        found.setdefault(each.comparison.detector, {}).setdefault(each.comparison.testbed, []).append(each)
    return found


def _names(record: StudyRecord, column: str) -> list[str]:
    return sorted({str(name) for name in record.rows[column].dropna()} - {""})


def _rule(plan: str) -> str:
    """Return the plan's rule of exclusion in words."""
    try:
        rules = tomllib.loads(plan).get("rules")
    except tomllib.TOMLDecodeError:
        rules = None
    least = rules.get("exclude_vanilla_at_least") if isinstance(rules, dict) else None
    return "the plan has no such rule" if least is None else f"the vanilla detector reaches {least} there already"


def _style() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (HERE.parent / "style.css", HERE / "study.css"))


@cache
def _environment() -> Environment:
    made = environment(HERE)
    made.filters.update(signed=numbers.signed, ends=numbers.ends)
    return made
