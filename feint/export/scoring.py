"""New images through an exported model: no torch, batch by batch, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feint.backends import available_cores
from feint.calibration.decision import decide
from feint.core.errors import OutputError
from feint.core.files import atomic_folder
from feint.data import ImageSet, open_images, stream
from feint.data.grey_maps import grey_maps, write_grey_maps
from feint.data.sources import Source
from feint.export.manifest import ExportManifest, read_export
from feint.export.runtimes import Runtime, open_runtime
from feint.records.run import Skipped
from feint.runs.progress import Monitor, Silent
from feint.runs.scored import Scored, drift_warning, score_table

BATCH = 32


def score_exported(folder: Path, images: Source, *, maps: Path | None = None, monitor: Monitor | None = None) -> Scored:
    """Score images by an exported model; `maps` is a folder to make for grey PNG maps (0 ordinary, 255 unusual).

    Raises: InputError where no image can be used, IntegrityError where the export is damaged, SettingError where its
    runtime is not installed, OutputError.
    Cost: memory does not grow with the number of images, but for 100 bytes of table each.
    """
    manifest = read_export(folder)
    if maps is not None and maps.exists():
        raise OutputError(f"{maps} exists already and is never overwritten: choose another folder with --maps.")
    runtime = open_runtime(folder, manifest.kind, threads=available_cores(), joint=False)
    opened = open_images(images, role="unlabelled")
    if maps is None:
        return _score(manifest, runtime, opened, None, monitor or Silent())
    with atomic_folder(maps) as pictures:
        return _score(manifest, runtime, opened, pictures, monitor or Silent())


def exact_p_values(found: NDArray[np.float32], calibration: int) -> NDArray[np.float64]:
    """Return p-values (n,) as the multiples of 1 / (calibration + 1) that they are, not as float32 rounded them.

    Example:
        >>> exact_p_values(np.array([0.1], np.float32), 9).tolist()
        [0.1]
    """
    p: NDArray[np.float64] = np.rint(found.astype(np.float64) * (calibration + 1)) / (calibration + 1)
    return p


def _score(manifest: ExportManifest, runtime: Runtime, opened: ImageSet, maps: Path | None, monitor: Monitor) -> Scored:
    monitor.phase("scoring")
    names: list[str] = []
    skipped: list[Skipped] = []
    scores, p_values = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for batch in stream(opened, *manifest.inputs.values(), batch=BATCH, workers=available_cores()):
        skipped += batch.skipped
        if len(batch.names):
            found = runtime(*batch.pixels, maps=maps is not None)
            names += batch.names
            scores.append(found.scores)
            p_values.append(found.p_values)
            if maps is not None and found.maps is not None:
                write_grey_maps(maps, grey_maps(found.maps, manifest.map_scale), batch, opened)
        monitor.advance(len(names) + len(skipped), len(opened))
    score, p = np.concatenate(scores), exact_p_values(np.concatenate(p_values), manifest.calibration)
    flagged = decide(p, **{manifest.mode: manifest.rate})
    table = score_table(names, score, p, flagged)
    return Scored(table, skipped, drift_warning(manifest.drift_reference, score))
