"""Trackers of runs: TensorBoard and MLflow, one file each. A run's own folder needs none of them."""

from __future__ import annotations

from collections.abc import Sequence

from feint.core.errors import SettingError
from feint.core.tracking import Tracked, Tracker
from feint.trackers.guarded import Guarded
from feint.trackers.mlflow import MLflow
from feint.trackers.tensorboard import TensorBoard

__all__ = ["TRACKERS", "Guarded", "MLflow", "TensorBoard", "Tracked", "Tracker", "TrackerLike", "trackers_of"]

TRACKERS = {"mlflow": MLflow, "tensorboard": TensorBoard}

TrackerLike = str | Tracker


def trackers_of(wanted: Sequence[TrackerLike]) -> list[Tracker]:
    """Return trackers: those that are, and for each text `NAME` or `NAME:PLACE` the one of `TRACKERS`.

    Raises: SettingError for an unknown name, and for a tracker that is not installed.
    """
    return [each if isinstance(each, Tracker) else _named(each) for each in wanted]


def _named(text: str) -> Tracker:
    name, _, place = text.partition(":")
    if name not in TRACKERS:
        known = list(TRACKERS)
        raise SettingError(
            f"{name!r} is not a tracker: give {' or '.join(known)}, with a place as in {known[0]}:PLACE. "
            f"To install them: pip install 'feint[{','.join(known)}]'."
        )
    return TRACKERS[name](place or None)
