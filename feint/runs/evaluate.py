"""The only door to labels: how well a finished run did."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.core.files import write_text
from feint.data.labels import match, read_labels
from feint.records.evaluation import EvaluationRecord
from feint.records.run import Estimate
from feint.runs.progress import Monitor, Silent
from feint.runs.run import Run
from feint.runs.score import score_images
from feint.stats.intervals import bootstrap_metrics

FILE = "evaluation.json"


def evaluate_run(run: Run, labels: str | Path, *, monitor: Monitor | None = None) -> EvaluationRecord:
    """Return AUROC, average precision, F1, false-alarm and detection rate of the run, and store them in its folder.

    Images of a labelled test folder that were not among the unlabelled ones are scored by the run first.

    Raises: InputError where labels cannot be read or matched, or are all of one kind.
    """
    opened = read_labels(labels)
    table = run.scores
    try:
        truth = match(opened, tuple(table.path))
    except InputError:
        if opened.folder is None:
            raise
        truth = None
    if opened.folder is not None and (truth is None or len(truth.rows) < len(opened.names)):
        table = score_images(run, opened.folder, monitor=monitor or Silent()).table
        truth = match(opened, tuple(table.path))
    assert truth is not None
    found = bootstrap_metrics(
        truth.labels, table.score.to_numpy()[truth.rows], table.flagged.to_numpy()[truth.rows], seed=0
    )
    store = run.path / FILE
    reads = _label_reads(store) if store.exists() else 0
    record = EvaluationRecord(
        labels=str(labels),
        normal=int((truth.labels == 0).sum()),
        anomalous=int((truth.labels == 1).sum()),
        label_reads=reads + 1,
        **{name: Estimate(value=each.value, low=each.low, high=each.high) for name, each in found.items()},
    )
    write_text(store, json.dumps(record.model_dump(mode="json"), indent=2))
    return record


def _label_reads(store: Path) -> int:
    try:
        return EvaluationRecord.model_validate_json(store.read_bytes()).label_reads
    except ValidationError as error:
        raise IntegrityError(f"{store} was cut short or changed: remove it to evaluate afresh.") from error
