"""From the plan of a study of representations to its cells: every set read once, and shared with the workers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from feint.backends import Backend, available_cores
from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data import decode, plan_preprocessing, survey
from feint.data.labelled import LabelledImages, labelled_images
from feint.networks.architectures import fitting_size, full_name
from feint.pretraining import METHODS
from feint.studies.wild_cell import SUPERVISED, UNTRAINED, WildCell, WildImages
from feint.studies.wild_plan import WildData, WildPlan

DEFECTS, REST = "defects", "rest"
MASKED_VIEWS = "mae"


def wild_cells(
    plan: WildPlan, backend: Backend, *, folder: Path
) -> tuple[list[WildCell], dict[tuple[str, str], WildImages], list[str]]:
    """Return the cells of a plan, seed by seed, the images of each set and normal class, and what was left out.

    Raises: InputError where images or labels cannot be read.
    """
    arms, left_out = plan.pretraining.applicable()
    cells: list[WildCell] = []
    images: dict[tuple[str, str], WildImages] = {}
    for table in plan.data:
        for normal in table.normal or [""]:
            shared, mark, size = _shared(table, normal, backend, folder)
            images[table.name, normal or "normal"] = shared
            cells += [each for arm in arms for each in _cells_of(plan, table, normal, arm, mark=mark, size=size)]
    cells.sort(key=lambda cell: plan.study.seeds.index(cell.seed))
    return cells, images, left_out


def _shared(table: WildData, normal: str, backend: Backend, folder: Path) -> tuple[WildImages, str, tuple[int, int]]:
    """Decode the images of one set with one normal class; return them, their mark, and height and width."""
    assert table.path is not None
    found = labelled_images(table.path, normal=normal or None)
    chosen = _some(found, table)
    labels, images = found.labels[chosen], found.images.select(chosen)
    planned = plan_preprocessing(survey(images, workers=available_cores()), image_size=table.size)
    height, width = fitting_size("vit_tiny", (planned.height, planned.width))
    planned = planned.model_copy(update={"height": height, "width": width})
    decoded = decode(images, [planned], workers=available_cores())
    if len(decoded.names) < len(images):
        first = decoded.skipped[0]
        raise InputError(
            f"{len(decoded.skipped)} images of {table.name} cannot be read, e.g. {first.path}: {first.reason}."
        )
    pixels = backend.share(decoded.pixels[0], folder=folder, name=f"{table.name}-{normal or 'normal'}")
    groups = None if found.groups is None else tuple(found.groups[i] for i in chosen)
    shared = WildImages(
        pixels=pixels, labels=tuple(int(each) for each in labels), groups=groups, hashes=tuple(decoded.hashes)
    )
    text = json.dumps([decoded.fingerprint, planned.model_dump(), shared.labels, shared.groups])
    return shared, hashlib.sha256(text.encode()).hexdigest()[:16], (height, width)


def _some(found: LabelledImages, table: WildData) -> np.ndarray:
    """Return which images are used: all, or at most so many of each kind, drawn."""
    kept = []
    for label in (0, 1):
        rows = np.flatnonzero(found.labels == label)
        if table.most is not None and len(rows) > table.most:
            rows = np.sort(numpy_stream(0, "most", table.name, label).choice(rows, table.most, replace=False))
        kept.append(rows)
    return np.sort(np.concatenate(kept))


def _cells_of(
    plan: WildPlan, table: WildData, normal: str, arm: str, *, mark: str, size: tuple[int, int]
) -> list[WildCell]:
    pretraining = plan.pretraining
    method, _, encoder = arm.partition("/")
    masked = method in METHODS and METHODS[method].transformers_only
    views = MASKED_VIEWS if masked else table.views or pretraining.views
    return [
        WildCell(
            detector=arm,
            kind=method,
            encoder=full_name(encoder, size),
            settings={
                "steps": pretraining.steps,
                "batch": pretraining.batch,
                "test_share": pretraining.test_share,
                "validation_share": pretraining.validation_share,
            },
            augmentation="none" if method in {UNTRAINED, *SUPERVISED} else views,
            views=views,
            data=table.name,
            normal=normal or "normal",
            anomaly=REST if normal else DEFECTS,
            seed=seed,
            images=mark,
            task=name,
            level=level,
            probe_level=level if pretraining.probe_level is None else pretraining.probe_level,
            levels=tuple(pretraining.levels),
            base=pretraining.base,
            total=pretraining.total,
        )
        for seed in plan.study.seeds
        for level, name in zip(pretraining.levels, pretraining.level_names(), strict=True)
    ]
