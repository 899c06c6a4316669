"""Nothing is used twice: normal images are divided into training, selection and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feint.core.errors import InputError
from feint.core.streams import numpy_stream

SELECTION = CALIBRATION = 0.2
LARGEST_CALIBRATION = 0.4
SMALL = 100
FOLDS = 5
FEWEST_DIFFERENT = 10


@dataclass(frozen=True)
class Rotation:
    """One division of the normal images: indices of each role, disjoint."""

    training: np.ndarray
    selection: np.ndarray
    calibration: np.ndarray


def divide(groups: list[int], *, needed: int, seed: int) -> list[Rotation]:
    """Divide normal images into roles; images of one group (exact duplicates) never part.

    Args:
        groups: group of each image. needed: calibration images that the asked rate needs.

    Returns one rotation (60 / 20 / 20 %, more for calibration if `needed` says so), or five for cross-fitting where
    there are fewer than 100 images or where more than 40 % of them would be needed: each image then calibrates once.

    Raises: InputError where there are fewer than 10 different images, or a role gets none because of its copies.
    """
    keys = np.asarray(groups)
    order = numpy_stream(seed, "split").permutation(np.unique(keys))
    n = len(keys)
    by_group = {int(key): np.flatnonzero(keys == key) for key in order}
    if len(order) < FEWEST_DIFFERENT:
        raise _too_many_copies(n, len(order))
    if n < SMALL or needed > LARGEST_CALIBRATION * n:
        folds = _deal(by_group, [1 / FOLDS] * FOLDS, n)
        return [
            Rotation(
                training=np.sort(np.concatenate([folds[(k + i) % FOLDS] for i in range(2, FOLDS)])),
                selection=folds[(k + 1) % FOLDS],
                calibration=folds[k],
            )
            for k in range(FOLDS)
        ]
    calibration = max(CALIBRATION, needed / n)
    parts = _deal(by_group, [calibration, SELECTION, 1 - SELECTION - calibration], n)
    return [Rotation(training=parts[2], selection=parts[1], calibration=parts[0])]


def halves(roles: Rotation, groups: Sequence[int], *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that do not calibrate in two halves, so that each can be judged by what did not learn it.

    Images of one group (exact duplicates) never part.
    """
    rows = np.sort(np.concatenate([roles.training, roles.selection]))
    keys = np.asarray(groups)[rows]
    order = numpy_stream(seed, "audit").permutation(np.unique(keys))
    first = np.isin(keys, order[: len(order) // 2])
    return rows[first], rows[~first]


def _deal(by_group: dict[int, np.ndarray], shares: list[float], n: int) -> list[np.ndarray]:
    """Deal whole groups in order to parts until each has reached its share; sorted indices."""
    ends = np.round(np.cumsum(shares) * n)
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    dealt = 0
    for members in by_group.values():
        part = min(int(np.searchsorted(ends, dealt, side="right")), len(shares) - 1)
        parts[part].append(members)
        dealt += len(members)
    if not all(parts):
        raise _too_many_copies(n, len(by_group))
    return [np.sort(np.concatenate(part)) for part in parts]


def _too_many_copies(n: int, different: int) -> InputError:
    return InputError(
        f"the {n} normal images are copies of only {different} different ones, too few to train, "
        "to choose and to calibrate with different images. Add different normal images."
    )
