"""The images of a finished run once more, in the roles they had; or a sentence that says why that is not possible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import ValidationError

from feint.backends import available_cores
from feint.calibration.conformal import minimum_images
from feint.core.errors import InputError, IntegrityError
from feint.records.run import ImagesRecord
from feint.runs.preparing import Prepared, prepare
from feint.runs.progress import Monitor
from feint.runs.run import Run
from feint.runs.settings import BUDGETS, TuneSettings
from feint.runs.workspace import Workspace


def settings_of(run: Run) -> TuneSettings:
    """Return the settings of a run, but that nothing is trained from its encoder or on its device again."""
    try:
        return TuneSettings.model_validate(run.record.settings | {"encoder": None, "device": "cpu"})
    except ValidationError as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"the settings in {run.path / 'run.json'} were changed: {reason}. Tune again.") from error


def reopened(run: Run, settings: TuneSettings, *, space: Workspace, monitor: Monitor) -> Prepared:
    """Return the images of a run as it had them, decoded into the workspace, in the same roles.

    Raises: InputError where they have moved or changed, or were given as an array.
    """
    record = run.record.data
    for images in (record.normal, record.unlabelled):
        _refuse_absent(images)
    rate = settings.false_alarm_rate
    data = prepare(
        _source(record.normal, run.normals.path), _source(record.unlabelled, run.scores.path), space=space,
        budget=BUDGETS[settings.budget], image_size=settings.image_size, needed=minimum_images(rate) if rate else 1,
        seed=settings.seed, workers=available_cores(), monitor=monitor,
    )  # fmt: skip
    for old, new in ((record.normal, data.record.normal), (record.unlabelled, data.record.unlabelled)):
        _refuse_changed(old, new)
    shapes = [each.preprocessing for each in run.model.members]
    if len(data.rotations) != len(shapes) or any(each not in data.preprocessing.values() for each in shapes):
        raise InputError(
            f"{run.path} divides or shrinks its images otherwise than this version of Feint "
            f"({run.record.versions.get('feint', 'unknown')} made it): refit with that version, or tune again."
        )
    return data


def without(data: Prepared, rows: np.ndarray, *, contradicted: set[int]) -> Prepared:
    """Return the data without some normal images, in whatever role, since their copies were marked anomalous.

    Args:
        rows: of those normal images. contradicted: rows of their unlabelled copies, which are known normal no longer.
    """
    roles = [
        replace(
            each,
            training=np.setdiff1d(each.training, rows),
            selection=np.setdiff1d(each.selection, rows),
            calibration=np.setdiff1d(each.calibration, rows),
        )
        for each in data.rotations
    ]
    twins = {row: twin for row, twin in data.twins.items() if row not in contradicted}
    return replace(data, rotations=roles, twins=twins)


def _refuse_absent(images: ImagesRecord) -> None:
    if images.source == "array":
        raise InputError(
            "this run was tuned on an array in memory, which cannot be opened again: save the images as a folder or a "
            ".npy file, tune on that, and refit."
        )
    if not Path(images.source).exists():
        raise InputError(
            f"{images.source}, on whose images this run was tuned, is not there: put it back (a relative path counts "
            "from the folder in which feint was started), or tune again."
        )


def _source(images: ImagesRecord, names: Iterable[str]) -> str | list[Path]:
    """Return what to open: for a list the files themselves in the order of their names, which no record keeps."""
    if images.layout != "list":
        return images.source
    files = {*names, *(each.path for each in images.skipped)}
    return [Path(images.source) / name for name in sorted(files, key=PurePosixPath)]


def _refuse_changed(old: ImagesRecord, new: ImagesRecord) -> None:
    if new.fingerprint != old.fingerprint and old.layout == "list":
        raise InputError(
            f"this run was tuned on a list of files in {old.source}, which is opened again in the order of their "
            f"names: {new.images} are readable now, {old.images} were then, and names, pixels or their order differ. "
            "Tune on a folder, or on a list in the order of the names, whose files stay as they are; then refit."
        )
    if new.fingerprint != old.fingerprint:
        raise InputError(
            f"the images in {old.source} are not those on which this run was tuned ({new.images} readable now, "
            f"{old.images} then; names or pixels differ): put the old ones back, or tune again on the new ones."
        )
