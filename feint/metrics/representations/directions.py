"""Which way each label-free metric is claimed to be better, fixed before any result is seen."""

from __future__ import annotations

from typing import Literal, TypeAlias

from feint.core.errors import SettingError

Direction: TypeAlias = Literal["up", "down", "near 1", "none"]

DIRECTIONS: dict[str, Direction] = {
    "rankme": "up",
    "rankme_centred": "up",
    "eig_rank": "up",
    "alpha_req": "near 1",
    "nesum": "up",
    "stable_rank": "up",
    "pseudo_condition": "up",
    "coherence": "down",
    "coherence_p99": "down",
    "self_cluster": "down",
    "lidar": "up",
    "alignment": "down",
    "uniformity": "down",
    "cluster_learnability": "up",
    "intrinsic_dimension": "none",
    "clid": "up",
    "std_of_l2": "up",
    "pseudo_probe": "up",
    "pseudo_probe_cutdiff": "up",
    "pseudo_probe_cutpaste": "up",
    "pseudo_probe_rotation": "up",
    "pseudo_neighbours": "up",
    "pseudo_neighbours_cutdiff": "up",
    "pseudo_neighbours_cutpaste": "up",
    "pseudo_neighbours_rotation": "up",
}
"""Those on pseudo-anomalies need an augmentation, and are in `feint.embeddings.pseudo`; the others are in this room."""


def better(key: str, value: float) -> float:
    """Return a number of which higher is claimed to be better: the value, -value, or -|value - 1| for "near 1".

    Raises:
        SettingError: an unknown metric, or one without a claimed direction.

    Example:
        >>> better("rankme", 30.0), better("uniformity", -3.5), better("alpha_req", 1.25)
        (30.0, 3.5, -0.25)
    """
    direction = DIRECTIONS.get(key)
    if direction == "up":
        return value
    if direction == "down":
        return -value
    if direction == "near 1":
        return -abs(value - 1)
    if direction == "none":
        raise SettingError(f"no direction of {key} is claimed to be better: leave it out of a choice.")
    raise SettingError(f"there is no metric {key!r} of representations: it is one of {', '.join(DIRECTIONS)}.")
