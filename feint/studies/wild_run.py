"""From the plan of a study of representations to its cells: every set read once, and shared with the workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feint.backends import Backend
from feint.core.errors import FeintError
from feint.networks.architectures import full_name
from feint.studies.wild_cell import SUPERVISED, UNTRAINED, WildCell, WildImages, divided, drawn
from feint.studies.wild_images import ReadSet, read_set
from feint.studies.wild_plan import WildData, WildPlan, encoder_of, views_of

DEFECTS, REST, NORMAL = "defects", "rest", "normal"


def wild_cells(
    plan: WildPlan, backend: Backend, *, folder: Path
) -> tuple[list[WildCell], dict[tuple[str, str], WildImages], list[str]]:
    """Return the cells of a plan, seed by seed, the images of each set and normal class, and what is to be known.

    The last are sentences: on arms that are not applicable, on images that were left out, and on levels that leave
    few anomalies.

    Raises: InputError where images or labels cannot be read.
    """
    arms, notes = plan.pretraining.applicable()
    cells: list[WildCell] = []
    images: dict[tuple[str, str], WildImages] = {}
    for table in plan.data:
        for normal in table.normal or [""]:
            read = read_set(table, normal, [encoder_of(arm) for arm in arms])
            shared = WildImages(
                pixels=backend.share(read.pixels, folder=folder, name="images"),
                labels=read.labels,
                groups=read.groups,
                hashes=read.hashes,
                alike=read.alike,
            )
            mine = [each for arm in arms for each in _cells_of(plan, table, normal, arm, read)]
            notes += [f"{title(table, normal)}: {each}" for each in [*read.notes, *_few(mine, shared)]]
            cells += mine
            images[table.name, normal or NORMAL] = shared
    cells.sort(key=lambda cell: plan.study.seeds.index(cell.seed))
    return cells, images, notes


def title(table: WildData, normal: str) -> str:
    """Return how a set and its normal class are called in sentences."""
    return f"{table.name} ({normal})" if normal else table.name


def _few(cells: Sequence[WildCell], images: WildImages) -> list[str]:
    """Return the sentences on levels that leave few anomalies; an impossible level is told by the cells that fail."""
    found: dict[str, None] = {}
    for cell in {(each.seed, each.level): each for each in cells}.values():
        try:
            labels = images.labels[divided(cell, images).pool]
            for level in dict.fromkeys([cell.level, cell.probe_level]):
                found |= dict.fromkeys(drawn(cell, labels, level).warnings)
        except FeintError:
            continue
    return list(found)


def _cells_of(plan: WildPlan, table: WildData, normal: str, arm: str, read: ReadSet) -> list[WildCell]:
    pretraining = plan.pretraining
    method, views = arm.partition("/")[0], views_of(arm, table, pretraining)
    return [
        WildCell(
            detector=arm,
            kind=method,
            encoder=full_name(encoder_of(arm), read.size),
            settings={
                "steps": pretraining.steps,
                "batch": pretraining.batch,
                "test_share": pretraining.test_share,
                "validation_share": pretraining.validation_share,
            },
            augmentation="none" if method in {UNTRAINED, *SUPERVISED} else views,
            views=views,
            data=table.name,
            normal=normal or NORMAL,
            anomaly=REST if normal else DEFECTS,
            seed=seed,
            images=read.mark,
            task=name,
            level=level,
            probe_level=level if pretraining.probe_level is None else pretraining.probe_level,
            levels=pretraining.sized_by(),
            base=pretraining.base,
            total=pretraining.total,
        )
        for seed in plan.study.seeds
        for level, name in zip(pretraining.levels, pretraining.level_names(), strict=True)
    ]
