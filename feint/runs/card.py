"""The model card of a finished folder, from the records in it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.core.files import write_text
from feint.records.evaluation import EvaluationRecord
from feint.records.pretraining import PretrainingRecord
from feint.report.card import card, pretraining_card
from feint.runs.run import Run

CARD, EVALUATION, PRETRAINING = "card.md", "evaluation.json", "pretraining.json"

T = TypeVar("T", EvaluationRecord, PretrainingRecord)


def write_card(folder: str | Path) -> Path:
    """Write `card.md` into the folder of a run or of a pretraining, from its records; return where it is.

    The same records give the same card. What `feint evaluate` and a refit have stored in the folder stands in it, too.

    Raises: InputError where the folder holds neither; IntegrityError where a record was cut short or changed.
    """
    folder = Path(folder)
    write_text(folder / CARD, _text(folder))
    return folder / CARD


def _text(folder: Path) -> str:
    if (folder / PRETRAINING).is_file():
        return pretraining_card(_read(folder / PRETRAINING, PretrainingRecord))
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder} has no run.json and no {PRETRAINING}: a card is made of a run's folder.")
    run = Run(folder)
    return card(
        run.record,
        evaluation=_read(folder / EVALUATION, EvaluationRecord) if (folder / EVALUATION).is_file() else None,
        refitted=run.refitted,
    )


def _read(path: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"{path} was cut short or changed: {reason}. Copy it again.") from error
