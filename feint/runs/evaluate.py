"""The only door to labels: how well a finished run did."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.core.files import write_text
from feint.data import open_images
from feint.data.labels import Labels, Matched, match, read_labels
from feint.data.manifests import tidied
from feint.metrics.roc import auroc
from feint.records.evaluation import CandidateAuroc, EvaluationRecord, LandscapeAuroc
from feint.records.run import Estimate
from feint.report import with_evaluation
from feint.runs.card import EVALUATION, write_card
from feint.runs.progress import Monitor, Silent
from feint.runs.refit_marks import KINDS, Known
from feint.runs.run import Run
from feint.runs.score import score_images
from feint.runs.weighed import read_landscapes, read_weighed, score_weighed
from feint.stats.intervals import bootstrap_metrics
from feint.stats.proportions import exact_proportion


def evaluate_run(
    run: Run, labels: str | Path, *, all_candidates: bool = False, monitor: Monitor | None = None
) -> EvaluationRecord:
    """Return AUROC, average precision, F1, false-alarm and detection rate of the run, and store them in its folder.

    Images of a labelled test folder that were not among the unlabelled ones are scored by the run first. With
    `all_candidates` every candidate that was weighed is judged too, and the report shows it beside its criterion.
    Images whose marks a refit has learned from judge nothing.

    Raises: InputError where labels cannot be read or matched, fit less than half of them and of the images, or the
    images that are left are all of one kind.
    """
    if all_candidates and run.refitted is not None:
        raise InputError(
            f"{run.path} is a refit, which weighs no candidates: evaluate them with the run that it was made from."
        )
    opened = read_labels(labels)
    known, complete = _labels_of_pool(run, opened)
    table = run.scores
    given = known if complete else opened
    if opened.folder is not None and not complete:
        table = score_images(run, opened.folder, monitor=monitor or Silent()).table
    names = tuple(table.path)
    fitting = match(given, names)
    unfitted = len(given.by_path) - len(fitting.rows)
    if len(fitting.rows) < min(unfitted, len(fitting.missing)):
        raise InputError(
            f"only {len(fitting.rows)} of the {len(given.by_path)} labels in {labels} fit an image, and only as many "
            f"of the {len(names)} images have a label: it seems to be of other images. If it is not, keep only the "
            "rows of these ones."
        )
    truth = _not_learned(run, fitting, names)
    left_out = len(fitting.rows) - len(truth.rows)
    flagged = table.flagged.to_numpy()[truth.rows]
    _refuse_one_kind(truth.labels, flagged, left_out=left_out)
    found = bootstrap_metrics(truth.labels, table.score.to_numpy()[truth.rows], flagged, seed=0)
    store = run.path / EVALUATION
    reads = _label_reads(store) if store.exists() else run.record.label_reads
    record = EvaluationRecord(
        labels=str(labels),
        normal=int((truth.labels == 0).sum()),
        anomalous=int((truth.labels == 1).sum()),
        unfitted=unfitted,
        by_file_name=_by_file_name(given, [names[row] for row in fitting.rows]),
        learned_from=left_out,
        unlabelled=len(fitting.missing),
        label_reads=reads + 1,
        candidates=_candidates(run, given, of_pool=complete) if all_candidates else [],
        landscapes=_landscapes(run, known) if all_candidates else [],
        **{name: Estimate(value=each.value, low=each.low, high=each.high) for name, each in found.items()},
    )
    page = run.path / "report.html"
    shown = with_evaluation(_read_page(page), run.record, record)
    write_text(store, json.dumps(record.model_dump(mode="json"), indent=2))
    write_text(page, shown)
    write_card(run.path)
    return record


def _not_learned(run: Run, truth: Matched, names: tuple[str, ...]) -> Matched:
    """Return the labels without those of images, or copies of images, whose marks a refit has learned from."""
    if run.refitted is None:
        return truth
    known = Known.of(run)
    learned = known.alike(known.learned)
    kept = np.array([names[row] not in learned for row in truth.rows], dtype=bool)
    return replace(truth, labels=truth.labels[kept], rows=truth.rows[kept])


def _refuse_one_kind(labels: np.ndarray, flagged: np.ndarray, *, left_out: int) -> None:
    """Raise InputError, with what can be said of one kind alone, unless there are labels (n,) of both kinds."""
    without = f" without the {left_out:,} images that the run has learned from" if left_out else ""
    if not len(labels):
        raise InputError(f"no labelled image is left{without}: label others.")
    if len(np.unique(labels)) == 2:
        return
    share = exact_proportion(int(flagged.sum()), len(flagged))
    raise InputError(
        f"labels must hold both kinds, 0 and 1, for an AUROC: got {len(labels):,} images{without} that are all "
        f"{labels[0]}. Of these {KINDS[int(labels[0])]} images {int(flagged.sum()):,} are flagged: {share.value:.3f}, "
        f"95 % interval {share.low:.3f} to {share.high:.3f}."
    )


def _by_file_name(labels: Labels, names: list[str]) -> int:
    """Return how many names fit a label by the file name alone: neither path is the end of the other."""
    if labels.folder is not None:
        return 0
    paths = {tidied(path) for path in labels.by_path}
    ends = {end for path in paths for end in _ends(path)}
    return sum(tidied(name) not in ends and paths.isdisjoint(_ends(tidied(name))) for name in names)


def _ends(path: str) -> list[str]:
    """Return a path without its first folders: none of them, one, and so on."""
    parts = PurePosixPath(path).parts
    return ["/".join(parts[i:]) for i in range(len(parts))]


def _read_page(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{page} is missing or was changed: {error}. Copy it again, or tune again.") from error


def _labels_of_pool(run: Run, labels: Labels) -> tuple[Labels, bool]:
    """Return the labels of the run's unlabelled images under their names, and whether these are all labels.

    Images of a folder are known by their bytes, since the names of other images may be the same; by their names only
    where the unlabelled images are no longer there.
    """
    if labels.folder is None:
        return labels, True
    pool, given = _names_by_content(run.record.data.unlabelled.source), _names_by_content(labels.folder)
    if not pool:
        truth = _matched(labels, tuple(run.scores.path))
        return labels, truth is not None and len(truth.rows) == len(labels.names)
    by_path = {name: labels.by_path[same[0]] for each, same in given.items() for name in pool.get(each, [])}
    return Labels(by_path=by_path, source=labels.source, folder=labels.folder), given.keys() <= pool.keys()


def _names_by_content(source: str | Path) -> dict[str, list[str]]:
    """Return the names of images of a folder or manifest by the sha256 of their files; none where one is missing."""
    found: dict[str, list[str]] = {}
    try:
        images = open_images(source, role="unlabelled")
        for name, item in zip(images.names, images.items, strict=True):
            if isinstance(item, Path):
                found.setdefault(hashlib.sha256(item.read_bytes()).hexdigest(), []).append(name)
    except (InputError, OSError):
        return {}
    return found


def _candidates(run: Run, labels: Labels, *, of_pool: bool) -> list[CandidateAuroc]:
    """Return the AUROC of every candidate on the labelled images; other ones than the pool's are scored first."""
    table = read_weighed(run.path) if of_pool or labels.folder is None else score_weighed(run.path, labels.folder)
    truth = match(labels, table.paths)
    rows = {each.name for each in run.record.candidates if each.status == "ok"}
    if rows != set(table.scores):
        raise IntegrityError(
            f"the candidates that {run.path} holds scores or detectors of, {', '.join(sorted(table.scores))}, are not "
            f"those of its run.json, {', '.join(sorted(rows))}: it was changed. Copy it again, or tune again."
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
    truth = _matched(labels, read_weighed(run.path).paths)
    if truth is None or len(np.unique(truth.labels)) < 2:
        return []
    return [
        LandscapeAuroc(
            augmentation=each.augmentation, size=each.size, auroc=[auroc(*_parted(row, truth)) for row in scores]
        )
        for each, scores in zip(run.record.landscapes, read_landscapes(run.path), strict=True)
    ]


def _matched(labels: Labels, names: tuple[str, ...]) -> Matched | None:
    try:
        return match(labels, names) if labels.by_path else None
    except InputError:
        return None


def _auroc(scores: np.ndarray, truth: Matched) -> float | None:
    normal, anomalous = _parted(scores, truth)
    return auroc(normal, anomalous) if len(normal) and len(anomalous) else None


def _parted(scores: np.ndarray, truth: Matched) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of normal and of anomalous images."""
    found = scores[truth.rows]
    return found[truth.labels == 0], found[truth.labels == 1]


def _label_reads(store: Path) -> int:
    try:
        return EvaluationRecord.model_validate_json(store.read_bytes()).label_reads
    except ValidationError as error:
        raise IntegrityError(f"{store} was cut short or changed: remove it to evaluate afresh.") from error
