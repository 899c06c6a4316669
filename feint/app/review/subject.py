"""What is reviewed: images with their scores and p-values, and why some have none."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from feint.core.errors import InputError
from feint.data import ImageSet, open_images
from feint.data.reading import ImageFile, Pixels
from feint.runs.progress import Monitor
from feint.runs.run import Run
from feint.runs.score import score_images

GONE = "this file can no longer be found"
Item = ImageFile | Pixels


@final
@dataclass(frozen=True, eq=False)
class Subject:
    """The n images of a review, in any order.

    Attributes:
        of_run: whether they are the run's own unlabelled images.
        source: where they come from; marks are kept under it.
        names: unique paths, as CSV files name them.
        items: what is decoded, None where it is gone.
        score, p: (n,), NaN where an image was not scored.
        reasons: why an image has no score, by row.
        notes: what there is to know about all of them, one sentence each.
    """

    run: Run
    of_run: bool
    source: str
    names: tuple[str, ...]
    items: tuple[Item | None, ...]
    score: np.ndarray
    p: np.ndarray
    reasons: dict[int, str]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


def unlabelled_of(run: Run) -> Subject:
    """Return the unlabelled images of a run by its scores.csv; files that are gone or newer than the run are told of.

    Raises: IntegrityError where the run is damaged.
    """
    record, table = run.record.data.unlabelled, run.scores
    found = _reopened(record.source)
    skipped = {each.path: each.reason for each in record.skipped}
    names = (*table.path, *skipped)
    items = tuple(found.get(name) for name in names)
    return Subject(
        run=run, of_run=True, source=record.source, names=names, items=items,
        score=_padded(table.score.to_numpy(), len(skipped)), p=_padded(table.p_value.to_numpy(), len(skipped)),
        reasons=dict(enumerate(skipped.values(), start=len(table))),
        notes=tuple(_notes(run, names[: len(table)], items)),
    )  # fmt: skip


def scored_by(run: Run, images: Path, monitor: Monitor) -> Subject:
    """Return other images, scored by the run in bounded memory; those that cannot be read come last, with reasons.

    Raises: InputError where none can be read, IntegrityError where the run is damaged.
    """
    opened = open_images(images, role="unlabelled")
    scored = score_images(run, opened, monitor=monitor)
    skipped = {each.path: each.reason for each in scored.skipped}
    names = (*scored.table.path, *skipped)
    found = dict(zip(opened.names, opened.items, strict=True))
    return Subject(
        run=run, of_run=False, source=str(images.resolve()), names=names, items=tuple(found[name] for name in names),
        score=_padded(scored.table.score.to_numpy(), len(skipped)),
        p=_padded(scored.table.p_value.to_numpy(), len(skipped)),
        reasons=dict(enumerate(skipped.values(), start=len(scored.table))),
        notes=(scored.drift,) if scored.drift else (),
    )  # fmt: skip


def _padded(values: np.ndarray, more: int) -> np.ndarray:
    return np.concatenate([np.asarray(values, dtype=np.float64), np.full(more, np.nan)])


def _reopened(source: str) -> dict[str, Item]:
    """Return the images that are at `source` now, by name; none where there is nothing any more."""
    try:
        opened: ImageSet = open_images(source, role="unlabelled")
    except (InputError, OSError):
        return {}
    return dict(zip(opened.names, opened.items, strict=True))


def _notes(run: Run, names: tuple[str, ...], items: tuple[Item | None, ...]) -> Iterator[str]:
    record = run.record.data.unlabelled
    if record.source == "array":
        yield "The run was tuned on arrays in memory, which have no files: there are scores, but no pictures."
        return
    gone = [name for name, item in zip(names, items, strict=False) if item is None]
    if gone:
        here = "" if Path(record.source).is_absolute() else " Start feint review where feint tune ran."
        missed = f"{_count(gone, names)} can no longer be found in {record.source}, e.g. {gone[0]}"
        yield f"{missed}: no picture is shown.{here}"
    made = datetime.datetime.fromisoformat(run.record.created).timestamp()
    newer = [name for name, item in zip(names, items, strict=False) if isinstance(item, Path) and _changed(item) > made]
    if newer:
        yield (
            f"{_count(newer, names)} were written after the run, by the date of the file, e.g. {newer[0]}: "
            "score and p-value are of what the file held before."
        )


def _count(some: list[str], names: tuple[str, ...]) -> str:
    return f"{len(some):,} of {len(names):,} images"


def _changed(path: Path) -> float:
    """Return when a file was written, 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
