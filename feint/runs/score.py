"""New images through a saved run: batch by batch, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feint.backends import available_cores
from feint.calibration.drift import drifted
from feint.core.detector import Scorer
from feint.core.errors import OutputError
from feint.core.files import atomic_folder
from feint.data import ImageSet, open_images, stream
from feint.records.run import PreprocessingRecord, Skipped
from feint.runs.model import Model, pixel_scores
from feint.runs.preparing import ImagesLike
from feint.runs.progress import Monitor, Silent
from feint.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

BATCH = 64
FEWEST_FOR_DRIFT = 20


@dataclass(frozen=True)
class Scored:
    """The table (path, score, p_value, flagged; highest score first), what was skipped, and a drift warning if any."""

    table: pd.DataFrame
    skipped: list[Skipped] = field(default_factory=list)
    drift: str | None = None


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
    import pandas as pd

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
                    _write_maps(maps, batch.names, member.maps(batch.pixels[0]), opened, batch.kept, model)
            done += len(batch.names) + len(batch.skipped)
            monitor.advance(k * len(opened) + done, len(model.members) * len(opened))
    joined = [np.concatenate(each) for each in scores]
    score, p, flagged = model.judge(joined)
    table = pd.DataFrame({"path": names, "score": score, "p_value": p, "flagged": flagged.astype(int)})
    return Scored(
        table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True),
        list(skipped.values()),
        _drift(model, joined),
    )


def _drift(model: Model, scores: list[np.ndarray]) -> str | None:
    """Return a sentence if the bulk of new scores has left the calibration's, by the first member."""
    if len(scores[0]) < FEWEST_FOR_DRIFT or len(model.members[0].calibration) < FEWEST_FOR_DRIFT:
        return None
    found = drifted(model.members[0].calibration, scores[0])
    return found.sentence if found.warns else None


def _write_maps(
    folder: Path, names: tuple[str, ...], maps: np.ndarray, images: ImageSet, kept: np.ndarray, model: Model
) -> None:
    """Write one grey PNG per image, at the image's own size, under the image's own path."""
    from PIL import Image

    low, high = model.map_scale
    grey = np.clip((maps - low) / (high - low), 0, 1) * 255
    for name, each, i in zip(names, grey.round().astype(np.uint8), kept, strict=True):
        header = images.header(int(i))
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(each).resize((header.width, header.height), Image.Resampling.BILINEAR).save(path)
