"""From what the user names to pixels on disk, roles and facts: the data of one run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from feint.core.errors import InputError, UnsupportedRateError
from feint.data import Decoded, ImageSet, Survey, decode, groups_of_duplicates, open_images, plan_preprocessing, survey
from feint.data.check import FEWEST_NORMALS, nothing_to_tell
from feint.records.run import DataRecord, ImagesRecord, PreprocessingRecord, WarningRecord
from feint.runs.jobs import Material, Pixels
from feint.runs.progress import Monitor
from feint.runs.settings import Budget
from feint.runs.splits import Rotation, divide
from feint.runs.workspace import Workspace

SMALLEST_POOL = 10

ImagesLike = str | Path | np.ndarray | ImageSet | list[str] | list[Path]


@dataclass(frozen=True)
class Prepared:
    """The images of a run, decoded at every size it needs, and the role of each normal one.

    Rows index the readable images; normal ones of one group are copies of one another. `pools` are the rows of
    unlabelled images that take part in tuning and in the criterion, in each rotation: all but the `twins`, which stand
    among the normal images too; so many are `different`. Where all are twins, those of selection normals stand in for
    them, so that the criterion compares images with themselves and tells nothing.
    """

    normal: dict[int, Pixels]
    unlabelled: dict[int, Pixels]
    preprocessing: dict[int, PreprocessingRecord]
    normal_names: tuple[str, ...]
    unlabelled_names: tuple[str, ...]
    groups: list[int]
    rotations: list[Rotation]
    pools: list[np.ndarray]
    different: int
    twins: dict[int, int]
    record: DataRecord
    warnings: list[WarningRecord]
    budget: Budget

    def size(self, px: int) -> tuple[int, int]:
        """Return height and width of the images at `px`."""
        return self.preprocessing[px].height, self.preprocessing[px].width

    def px_of(self, pixels: Pixels) -> int:
        """Return the px at which these normal images were decoded."""
        return next(px for px, each in self.normal.items() if each == pixels)

    def material(self, px: int, rotation: int) -> Material:
        """Return what a job of one rotation works on."""
        roles = self.rotations[rotation]
        return Material(
            normal=self.normal[px],
            unlabelled=self.unlabelled[px],
            training=roles.training,
            held_out=roles.selection,
            pool=self.pools[rotation],
        )

    @property
    def pool(self) -> np.ndarray:
        """The rows of the pool in the first rotation, by which the choice is told."""
        return self.pools[0]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return next(iter(self.preprocessing.values())).channels


def prepare(
    normal: ImagesLike,
    unlabelled: ImagesLike,
    *,
    space: Workspace,
    budget: Budget,
    image_size: int | None,
    needed: int,
    seed: int,
    workers: int,
    monitor: Monitor,
) -> Prepared:
    """Open, survey and decode both sets into the workspace, and divide the normal images.

    Args:
        budget: what is to be spent. image_size: the one px the user named.
        needed: calibration images that the asked rate needs.

    Raises: InputError where the images cannot be worked with.
    """
    sets = {"normal": open_images(normal, role="normal"), "unlabelled": open_images(unlabelled, role="unlabelled")}
    surveys = {role: survey(images, workers=workers) for role, images in sets.items()}
    budget = budget.at(image_size, largest=typical_side(surveys["normal"]))
    sizes = budget.decoded
    planned = {px: plan_preprocessing(surveys["normal"], image_size=px) for px in sizes}
    total = sum(len(images) for images in sets.values())
    decoded: dict[str, Decoded] = {}
    for role, images in sets.items():
        before = sum(len(sets[each]) for each in decoded)
        decoded[role] = decode(
            images,
            list(planned.values()),
            workers=workers,
            progress=partial(_count, monitor, before, total),
            out=_Allocator(space, role, sizes),
        )
    refuse_too_few(decoded["normal"], needed)
    groups = groups_of(decoded["normal"])
    rotations = divide(groups, needed=needed, seed=seed)
    twins = _twins(decoded["normal"], decoded["unlabelled"])
    pool = np.setdiff1d(np.arange(len(decoded["unlabelled"].names)), list(twins))
    records = {role: images_record(sets[role], surveys[role], decoded[role]) for role in sets}
    shared = [decoded["unlabelled"].names[i] for i in twins]
    warnings = _warnings(records, shared, surveys, rotations)
    for each in warnings:
        if each.code == "shared" and len(pool) < SMALLEST_POOL:
            monitor.say(each.message)
    return Prepared(
        normal={px: Pixels(path=space.path / f"normal-{px}.npy") for px in sizes},
        unlabelled={px: Pixels(path=space.path / f"unlabelled-{px}.npy") for px in sizes},
        preprocessing=planned,
        normal_names=decoded["normal"].names,
        unlabelled_names=decoded["unlabelled"].names,
        groups=groups,
        rotations=rotations,
        pools=[pool if len(pool) else _standing_in(twins, each) for each in rotations],
        different=len({decoded["unlabelled"].hashes[i] for i in pool}),
        twins=twins,
        record=DataRecord(
            normal=records["normal"],
            unlabelled=records["unlabelled"],
            shared=shared,
            rotations=len(rotations),
            training=len(rotations[0].training),
            selection=len(rotations[0].selection),
            calibration=sum(len(each.calibration) for each in rotations),
        ),
        warnings=warnings,
        budget=budget,
    )


def typical_side(found: Survey) -> int:
    """Return the square root of the pixels of a typical image."""
    _, (height, width), _ = found.extreme_sizes()
    return round(math.sqrt(height * width))


def _count(monitor: Monitor, before: int, total: int, done: int) -> None:
    monitor.advance(before + done, total)


class _Allocator:
    """Gives `decode` one file per size, in order."""

    def __init__(self, space: Workspace, role: str, sizes: list[int]) -> None:
        self.space, self.role, self.sizes = space, role, iter(sizes)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.space.allocate(f"{self.role}-{next(self.sizes)}", shape)


def refuse_too_few(normal: Decoded, needed: int) -> None:
    """Raise InputError where so few normal images, or copies of one, teach nothing, or fewer than are `needed`."""
    n = len(normal.names)
    if n < FEWEST_NORMALS:
        raise InputError(
            f"{n} readable normal images are too few: {FEWEST_NORMALS} are needed to train, choose and calibrate. "
            + (
                f"{len(normal.skipped)} more could not be read, the first because: {normal.skipped[0].reason}. "
                if normal.skipped
                else ""
            )
            + "Add normal images."
        )
    if len(set(normal.hashes)) == 1:
        raise InputError(
            f"all {n} normal images are identical, pixel for pixel: nothing can be learned from them. "
            "Give different pictures of normal parts."
        )
    if needed > n:
        raise UnsupportedRateError(
            f"the false-alarm rate asked for needs at least {needed} normal images to calibrate with: got {n}. "
            f"Add normal images, or ask for {1 / (n + 1):.2g} or more."
        )


def groups_of(decoded: Decoded) -> list[int]:
    """Return a number for each image, the same for those with the same pixels."""
    first: dict[str, int] = {}
    return [first.setdefault(each, len(first)) for each in decoded.hashes]


def _twins(normal: Decoded, unlabelled: Decoded) -> dict[int, int]:
    """Return row of an unlabelled image -> row of the normal image with the same pixels."""
    rows = {each: i for i, each in enumerate(normal.hashes)}
    return {i: rows[each] for i, each in enumerate(unlabelled.hashes) if each in rows}


def _standing_in(twins: dict[int, int], roles: Rotation) -> np.ndarray:
    """Return rows of unlabelled images that are selection normals; a single row, of which little can be said, if none.

    Those of training would score lower than new images do, and those of calibration are not to be opened yet.
    """
    rows = [row for row, twin in twins.items() if twin in roles.selection]
    return np.array(rows or list(twins)[:1], dtype=np.int64)


def images_record(images: ImageSet, found: Survey, decoded: Decoded) -> ImagesRecord:
    """Return how an image set was understood."""
    readable = found.among(decoded.kept)
    smallest, _, largest = readable.extreme_sizes()
    return ImagesRecord(
        source=images.source,
        layout=images.layout,
        images=len(decoded.names),
        skipped=list(decoded.skipped),
        duplicates=[[decoded.names[i] for i in group] for group in groups_of_duplicates(decoded.hashes)],
        smallest=smallest,
        largest=largest,
        modes=readable.mode_counts(),
        fingerprint=decoded.fingerprint,
    )


def _warnings(
    records: dict[str, ImagesRecord], shared: list[str], surveys: dict[str, Survey], rotations: list[Rotation]
) -> list[WarningRecord]:
    found = []
    for role, record in records.items():
        if record.skipped:
            first = record.skipped[0]
            were = "image was" if len(record.skipped) == 1 else "images were"
            message = f"{len(record.skipped)} {role} {were} left out, e.g. {first.path}: {first.reason}."
            found.append(WarningRecord(code="skipped", message=message))
        if record.duplicates:
            extra = sum(len(group) - 1 for group in record.duplicates)
            copies = "image is an exact copy of another" if extra == 1 else "images are exact copies of others"
            message = f"{extra} {role} {copies}, e.g. {' = '.join(record.duplicates[0][:2])}."
            found.append(WarningRecord(code="duplicates", message=message))
        found += [WarningRecord(code="note", message=note + ".") for note in surveys[role].notes[:5]]
    if shared:
        left = records["unlabelled"].images - len(shared)
        one = len(shared) == 1
        message = (
            f"{len(shared)} unlabelled {'image also stands' if one else 'images also stand'} among the normal ones, "
            f"e.g. {shared[0]}: {'it is' if one else 'they are'} known to be normal and never flagged."
        )
        if not left:
            message = nothing_to_tell(len(shared))
        elif left < SMALLEST_POOL:
            message += f" Only {left} {'is' if left == 1 else 'are'} left to tell from the normal ones."
        found.append(WarningRecord(code="shared", message=message))
    if len(rotations) > 1:
        message = (
            f"The normal images are few for the rate asked: they are cross-fitted with {len(rotations)} models. "
            "The false-alarm rate then holds up to a factor of two in the worst case."
        )
        found.append(WarningRecord(code="cross-fitted", message=message))
    return found
