"""The only door to labels: how well a finished run did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.core.files import write_text
from feint.data.labels import Labels, Matched, match, read_labels
from feint.metrics.roc import auroc
from feint.records.evaluation import CandidateAuroc, EvaluationRecord, LandscapeAuroc
from feint.records.run import Estimate
from feint.report import with_evaluation
from feint.runs.progress import Monitor, Silent
from feint.runs.run import Run
from feint.runs.score import score_images
from feint.runs.weighed import read_landscapes, read_weighed, score_weighed
from feint.stats.intervals import bootstrap_metrics

FILE = "evaluation.json"


def evaluate_run(
    run: Run, labels: str | Path, *, all_candidates: bool = False, monitor: Monitor | None = None
) -> EvaluationRecord:
    """Return AUROC, average precision, F1, false-alarm and detection rate of the run, and store them in its folder.

    Images of a labelled test folder that were not among the unlabelled ones are scored by the run first. With
    `all_candidates` every candidate that was weighed is judged too, and the report shows it beside its criterion.

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
        candidates=_candidates(run, opened) if all_candidates else [],
        landscapes=_landscapes(run, opened) if all_candidates else [],
        **{name: Estimate(value=each.value, low=each.low, high=each.high) for name, each in found.items()},
    )
    write_text(store, json.dumps(record.model_dump(mode="json"), indent=2))
    page = run.path / "report.html"
    write_text(page, with_evaluation(page.read_text(encoding="utf-8"), run.record, record))
    return record


def _candidates(run: Run, labels: Labels) -> list[CandidateAuroc]:
    """Return the AUROC of every candidate on the labelled images."""
    table = read_weighed(run.path)
    truth = _matched(labels, table.paths)
    if labels.folder is not None and (truth is None or len(truth.rows) < len(labels.names)):
        table = score_weighed(run.path, labels.folder)
        truth = match(labels, table.paths)
    if truth is None:
        raise InputError(
            f"no image that the candidates of {run.path} were weighed on has a label in {labels.source}: "
            "give labels of these, or a folder of labelled images."
        )
    return [
        CandidateAuroc(
            name=each.name,
            criterion=each.criterion.value if each.criterion else None,
            auroc=_auroc(table.scores[each.name], truth) if each.name in table.scores else None,
            chosen=each.chosen,
        )
        for each in run.record.candidates
    ]


def _landscapes(run: Run, labels: Labels) -> list[LandscapeAuroc]:
    """Return the AUROC at every point of the landscapes, where labels are of the unlabelled images."""
    names = read_weighed(run.path).paths
    truth = _matched(labels, names)
    if truth is None or len(np.unique(truth.labels)) < 2:
        return []
    return [
        LandscapeAuroc(augmentation=each.augmentation, size=each.size, auroc=[_auroc(row, truth) for row in scores])
        for each, scores in zip(run.record.landscapes, read_landscapes(run.path), strict=True)
    ]


def _matched(labels: Labels, names: tuple[str, ...]) -> Matched | None:
    try:
        return match(labels, names)
    except InputError:
        return None


def _auroc(scores: np.ndarray, truth: Matched) -> float:
    found = scores[truth.rows]
    return auroc(found[truth.labels == 0], found[truth.labels == 1])


def _label_reads(store: Path) -> int:
    try:
        return EvaluationRecord.model_validate_json(store.read_bytes()).label_reads
    except ValidationError as error:
        raise IntegrityError(f"{store} was cut short or changed: remove it to evaluate afresh.") from error
