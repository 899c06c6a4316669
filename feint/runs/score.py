"""New images through a saved run: batch by batch, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from feint.backends import available_cores
from feint.core.detector import Scorer
from feint.core.errors import OutputError
from feint.core.files import atomic_folder
from feint.data import ImageSet, open_images, stream
from feint.data.grey_maps import write_grey_maps
from feint.records.run import PreprocessingRecord, Skipped
from feint.runs.model import Model, pixel_scores
from feint.runs.preparing import ImagesLike
from feint.runs.progress import Monitor, Silent
from feint.runs.run import Run
from feint.runs.scored import Scored, drift_warning, score_table

BATCH = 64


def score_images(run: Run, images: ImagesLike, *, maps: Path | None = None, monitor: Monitor | None = None) -> Scored:
    """Score images by a saved run; `maps` is a folder to make for grey PNG maps (0 ordinary, 255 clearly unusual).

    Raises: InputError where no image can be used, IntegrityError where the run is damaged, OutputError.
    Cost: memory does not grow with the number of images, but for 100 bytes of table each.
    """
    model = run.model
    opened = open_images(images, role="unlabelled")
    if maps is None:
        return _score(model, opened, None, monitor or Silent())
    if maps.exists():
        raise OutputError(f"{maps} exists already and is never overwritten: choose another folder with --maps.")
    with atomic_folder(maps) as folder:
        return _score(model, opened, folder, monitor or Silent())


def scores_of_images(
    scorer: Scorer, preprocessing: PreprocessingRecord, images: ImageSet
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and scores (n,) of all readable images by one scorer."""
    names: list[str] = []
    found: list[np.ndarray] = []
    for batch in stream(images, preprocessing, batch=BATCH, workers=available_cores()):
        names += batch.names
        found.append(pixel_scores(scorer, batch.pixels[0]))
    return tuple(names), np.concatenate(found)


def _score(model: Model, opened: ImageSet, maps: Path | None, monitor: Monitor) -> Scored:
    monitor.phase("scoring")
    names: list[str] = []
    scores: list[list[np.ndarray]] = [[] for _ in model.members]
    skipped: dict[str, Skipped] = {}
    for k, member in enumerate(model.members):
        done = 0
        for batch in stream(opened, member.preprocessing, batch=BATCH, workers=available_cores()):
            scores[k].append(member.scores(batch.pixels[0]))
            skipped |= {each.path: each for each in batch.skipped}
            if k == 0:
                names += batch.names
                if maps is not None and len(batch.names):
                    write_grey_maps(maps, model.grey_maps(member.maps(batch.pixels[0])), batch, opened)
            done += len(batch.names) + len(batch.skipped)
            monitor.advance(k * len(opened) + done, len(model.members) * len(opened))
    joined = [np.concatenate(each) for each in scores]
    score, p, flagged = model.judge(joined)
    table = score_table(names, score, p, flagged)
    return Scored(table, list(skipped.values()), drift_warning(model.members[0].calibration, joined[0]))
