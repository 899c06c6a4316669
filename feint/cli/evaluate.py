"""`feint evaluate`: the only command that reads labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor

SHOWN = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1 of the flagged",
    "false_alarm_rate": "normal images flagged",
    "detection_rate": "anomalous images flagged",
}
COUNTED = ("labels", "normal", "anomalous", "unfitted", "by_file_name", "learned_from", "unlabelled")


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune wrote.")],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS", help="A CSV path,label (0 normal, 1 anomalous), or a test folder in the MVTec layout."
        ),
    ],
    all_candidates: Annotated[
        bool, typer.Option("--all-candidates", help="Judge every candidate that was weighed, not only the chosen one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Read LABELS, print how well RUN did with 95 % intervals, and store it in RUN."""
    from feint.report.evaluation import matching
    from feint.runs.evaluate import evaluate_run
    from feint.runs.run import Run

    with TerminalMonitor() as monitor:
        record = evaluate_run(Run(run), labels, all_candidates=all_candidates, monitor=monitor)
    if as_json:
        print(flat_json(record))  # noqa: T201
        return
    if record.candidates:
        print(f"{'candidate':>26}  criterion  AUROC")  # noqa: T201
    for each in record.candidates:
        numbers = f"{_number(each.criterion):>9}  {_number(each.auroc):>5}"
        print(f"{each.name:>26}  {numbers}{'  chosen' if each.chosen else ''}")  # noqa: T201
    print(f"{record.normal:,} normal and {record.anomalous:,} anomalous images by {record.labels}")  # noqa: T201
    print(matching(record))  # noqa: T201
    for name, words in SHOWN.items():
        estimate = getattr(record, name)
        print(f"{words:>26}  {estimate.value:.3f}   95 % interval {estimate.low:.3f} to {estimate.high:.3f}")  # noqa: T201


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def flat_json(record: object) -> str:
    """Return the numbers by name, each interval under `<name>_interval`."""
    import json

    from feint.records.evaluation import EvaluationRecord

    assert isinstance(record, EvaluationRecord)
    flat: dict[str, object] = {name: getattr(record, name) for name in COUNTED}
    for name in SHOWN:
        estimate = getattr(record, name)
        flat[name] = estimate.value
        flat[f"{name}_interval"] = [estimate.low, estimate.high]
    if record.candidates:
        flat["candidates"] = [each.model_dump() for each in record.candidates]
    return json.dumps(flat | {"label_reads": record.label_reads}, indent=2)
