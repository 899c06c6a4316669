"""Label-free metrics of representations: embeddings (n, d) to a number that is claimed to tell how good they are.

`DIRECTIONS` is the catalogue, with the direction of each metric that is claimed to be better; `assess` computes all of
them, with one factorisation of the matrix; `collapse_alarms` says whether an encoder has collapsed. Each metric is a
plain function of its own, in float64, that leaves the caller's arrays as they are.

No single one of them chooses the best encoder reliably: show its rank correlation with what it is to predict.
"""

from __future__ import annotations

from feint.metrics.representations.alarms import collapse_alarms, projector_alarms
from feint.metrics.representations.assessment import Assessed, assess
from feint.metrics.representations.directions import DIRECTIONS, Direction, better
from feint.metrics.representations.discriminant import lidar
from feint.metrics.representations.neighbourhoods import clid, cluster_learnability, two_nn
from feint.metrics.representations.power_law import PowerLaw, alpha_req
from feint.metrics.representations.spectral import (
    Coherence,
    coherence,
    eig_rank,
    nesum,
    pseudo_condition,
    rankme,
    rankme_centred,
    stable_rank,
)
from feint.metrics.representations.spectrum import Spectrum
from feint.metrics.representations.sphere import alignment, self_cluster, std_of_l2, uniformity

__all__ = [
    "DIRECTIONS",
    "Assessed",
    "Coherence",
    "Direction",
    "PowerLaw",
    "Spectrum",
    "alignment",
    "alpha_req",
    "assess",
    "better",
    "clid",
    "cluster_learnability",
    "coherence",
    "collapse_alarms",
    "eig_rank",
    "lidar",
    "nesum",
    "projector_alarms",
    "pseudo_condition",
    "rankme",
    "rankme_centred",
    "self_cluster",
    "stable_rank",
    "std_of_l2",
    "two_nn",
    "uniformity",
]
